import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.svm import LinearSVC as LiblinearSVC

from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe import classifier_settings as rules
from pc_crvae.evaluation.probe.classifiers import fit_classifier
from pc_crvae.evaluation.probe.linear_svm import fit_linear_svm
from pc_crvae.evaluation.probe.protocol import load_protocol

ONE_OF_EACH = [
    rules.LinearSVM(c=(0.1,)),
    rules.LinearSVC(name="linear_svc"),
    rules.KernelSVC(name="svc_linear"),
    rules.LogisticRegression(name="logistic_regression", c=(0.1,)),
    rules.NearestNeighbors(name="knn", k=(3,)),
    rules.Ridge(name="ridge", alpha=(10.0,)),
]


def blobs(seed=0, count=120, spread=1.0):
    """Four classes in 6 dimensions of very different scales."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    centres = np.random.default_rng(99).normal(size=(4, 6))
    return (centres[labels] + spread * rng.normal(size=(count, 6))) * np.logspace(0, 2, 6), labels


def by_name(classifier):
    return classifier.name


@pytest.mark.parametrize("classifier", ONE_OF_EACH, ids=by_name)
@pytest.mark.parametrize("standardise", [True, False])
def test_classes_apart_are_told_apart(classifier, standardise):
    fitted = fit_classifier(classifier, *blobs(spread=0.2), standardise=standardise)
    features, labels = blobs(seed=1, spread=0.2)
    assert np.mean(fitted.predict(features) == labels) > 0.9
    assert fitted.chosen == rules.grid_of(classifier)[0]


@pytest.mark.parametrize("classifier", ONE_OF_EACH, ids=by_name)
def test_only_a_standardised_classifier_is_blind_to_scale(classifier):
    (features, labels), (others, _) = blobs(), blobs(seed=1)
    scales = np.logspace(0, -5, 6)

    def predicted(standardise, scale):
        fitted = fit_classifier(classifier, features * scale, labels, standardise=standardise)
        return fitted.predict(others * scale)

    np.testing.assert_array_equal(predicted(True, 1), predicted(True, scales))
    assert (predicted(False, 1) != predicted(False, scales)).any()


def test_published_presets_answer_as_the_code_of_their_sources_would():
    (features, labels), (others, _) = blobs(spread=2.0), blobs(seed=1, spread=2.0)
    features, others = features / 100, others / 100
    for name, oracle in {
        "point-mae": LiblinearSVC(random_state=0),
        "strl": SVC(kernel="linear"),
        "occo": SVC(kernel="linear"),
        "crosspoint": SVC(C=0.1, kernel="linear"),
    }.items():
        protocol = load_protocol(name)
        fitted = fit_classifier(
            protocol.classifier, features, labels, standardise=protocol.standardise
        )
        expected = oracle.fit(features, labels).predict(others)
        np.testing.assert_array_equal(fitted.predict(others), expected)


@pytest.mark.parametrize(
    ("classifier", "estimators"),
    [
        (
            rules.LogisticRegression(name="logistic_regression", c=(1.0, 1e-3, 0.1)),
            {c: LogisticRegression(C=c, max_iter=1000) for c in (1e-3, 0.1, 1.0)},
        ),
        (
            rules.NearestNeighbors(name="knn", k=(1, 25, 5)),
            {k: KNeighborsClassifier(k) for k in (25, 5, 1)},
        ),
    ],
    ids=["logistic_regression", "knn"],
)
def test_the_value_with_the_best_held_out_accuracy_is_chosen(classifier, estimators):
    features, labels = blobs(spread=2.0)
    folds = StratifiedKFold(4, shuffle=True, random_state=7)
    held_out = {
        value: cross_val_score(
            make_pipeline(StandardScaler(), estimator), features, labels, cv=folds
        ).mean()
        for value, estimator in estimators.items()
    }
    best = max(held_out, key=lambda value: round(held_out[value], 9))  # the first of equals
    assert len(set(held_out.values())) > 1
    fitted = fit_classifier(classifier, features, labels, folds=4, seed=7)
    assert fitted.chosen == best
    oracle = make_pipeline(StandardScaler(), estimators[best]).fit(features, labels)
    others, _ = blobs(seed=1, spread=2.0)
    np.testing.assert_array_equal(fitted.predict(others), oracle.predict(others))


def test_unstandardised_our_solver_finds_the_minimum_of_liblinear():
    features, labels = blobs(spread=2.0)
    features = features / 100
    probe = fit_linear_svm(features, labels, c_grid=[1.0], standardise=False)
    oracle = LiblinearSVC(C=1.0, dual=False, tol=1e-8, max_iter=10_000).fit(features, labels)
    expected = np.vstack([oracle.coef_.T, oracle.intercept_])
    np.testing.assert_allclose(probe.weights, expected, atol=0.02 * np.abs(expected).max())


def test_a_solver_that_stops_early_says_so_and_warns_nobody(monkeypatch, recwarn):
    monkeypatch.setattr("pc_crvae.evaluation.probe.classifiers._MAX_ITERATIONS", 1)
    features, labels = blobs(spread=2.0)
    assert not fit_classifier(
        rules.LinearSVC(name="linear_svc"), features, labels, standardise=False
    ).converged
    assert not recwarn.list


@pytest.mark.parametrize("classifier", ONE_OF_EACH, ids=by_name)
def test_bad_training_data_is_refused_alike(classifier):
    features, labels = blobs()
    with pytest.raises(UserError, match="all training items have the class 0"):
        fit_classifier(classifier, features, np.zeros_like(labels))
    with pytest.raises(UserError, match="120 samples came with 119 labels"):
        fit_classifier(classifier, features, labels[1:])
    bad = features.copy()
    bad[0, 0] = np.nan
    with pytest.raises(UserError, match="1 of 120 rows of the training features"):
        fit_classifier(classifier, bad, labels)
    with pytest.raises(UserError, match="1 of 120 rows of the features to classify"):
        fit_classifier(classifier, features, labels).predict(bad)


def test_fewer_items_than_folds_or_neighbours_are_refused():
    features, labels = blobs(count=8)
    with pytest.raises(UserError, match=r"2 training items.*3 folds"):
        fit_classifier(rules.NearestNeighbors(name="knn", k=(1, 2)), features, labels)
    with pytest.raises(UserError, match="9 neighbours cannot be found among 8"):
        fit_classifier(rules.NearestNeighbors(name="knn", k=(9,)), features, labels)
