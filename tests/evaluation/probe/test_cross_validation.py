"""Repeated folds of the training split: what is scored, on what, and how wide intervals are."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers.solids import clouds
from pc_crvae.errors import UserError
from pc_crvae.evaluation.metrics.accuracy import class_mean_accuracy
from pc_crvae.evaluation.probe.classifier_settings import LinearSVM, NearestNeighbors, Ridge
from pc_crvae.evaluation.probe.classifiers import held_out_predictions
from pc_crvae.evaluation.probe.cross_validation import CrossValidation, Held, cross_validate
from pc_crvae.evaluation.probe.features import probe_features
from pc_crvae.evaluation.probe.protocol import ProbeProtocol
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.evaluation.probe.run import probe_encoders
from pc_crvae.evaluation.probe.table import format_table

RIDGE = Ridge(name="ridge", alpha=(1.0, 10.0))
OURS, POOLED = ("trained", "posterior_mean"), ("trained", "pooled")
TWIN, POOLED_TWIN = ("untrained", "posterior_mean"), ("untrained", "pooled")
BAR = ("training_free", "bps")


def classes_apart(count, noise, seed, dimensions=3):
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=count)
    return np.eye(3, dimensions)[labels] + noise * rng.normal(size=(count, dimensions)), labels


def test_predictions_are_those_of_scikit_learn():
    features, labels = classes_apart(90, 0.6, 0)
    fixed = RIDGE.model_copy(update={"alpha": (10.0,)})
    found = held_out_predictions(fixed, features, labels, folds=5, seed=7)
    expected = cross_val_predict(
        make_pipeline(StandardScaler(), RidgeClassifier(alpha=10.0)),
        features,
        labels,
        cv=StratifiedKFold(5, shuffle=True, random_state=7),
    )
    np.testing.assert_array_equal(found, expected)


def test_no_item_is_predicted_by_what_has_seen_it():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(300, 5)), rng.integers(2, size=300)
    knn = NearestNeighbors(name="knn", k=(1,))
    found = cross_validate({OURS: [Held(features, 1)]}, labels, knn, CrossValidation(repeats=1))
    assert 0.4 < found.rows[0].accuracy.mean < 0.6  # an item's own label would make it 1


def test_scores_are_means_of_the_repeats_over_items_and_over_classes():
    features, labels = classes_apart(80, 0.8, 1)
    labels[labels == 2] = np.where(np.arange(np.sum(labels == 2)) < 6, 2, 1)  # uneven
    asked = CrossValidation(repeats=2, folds=3)
    found = cross_validate({OURS: [Held(features, 1.0)]}, labels, RIDGE, asked, seeds=[4])
    (row,) = found.rows
    fixed = RIDGE.model_copy(update={"alpha": (1.0,)})
    predicted = [
        held_out_predictions(fixed, features, labels, folds=3, seed=4000 + repeat)
        for repeat in range(2)
    ]
    assert row.accuracies == pytest.approx([np.mean(each == labels) for each in predicted])
    assert row.class_means == pytest.approx([class_mean_accuracy(labels, e) for e in predicted])
    assert row.accuracy.mean == pytest.approx(np.mean(row.accuracies))
    assert row.class_mean.mean == pytest.approx(np.mean(row.class_means))
    assert row.class_mean.mean != pytest.approx(row.accuracy.mean)
    for score in (row.accuracy, row.class_mean):
        assert score.interval[0] < score.mean < score.interval[1]
    assert (found.items, found.repeats, found.folds, row.parameter) == (80, 2, 3, 1.0)
    assert found == cross_validate({OURS: [Held(features, 1.0)]}, labels, RIDGE, asked, seeds=[4])


def test_trained_rows_are_compared_on_the_same_folds_with_the_bar_and_their_twin():
    features, labels = classes_apart(90, 0.6, 2)
    worse = features + np.random.default_rng(3).normal(size=features.shape)
    rows = {OURS: features, TWIN: worse, POOLED: worse, POOLED_TWIN: worse, BAR: features}
    held = {name: [Held(values, 1.0)] for name, values in rows.items()}
    found = cross_validate(held, labels, RIDGE, CrossValidation(repeats=2))
    pairs = [(pair.trained, pair.against, pair.representation) for pair in found.differences]
    assert pairs == [
        ("posterior_mean", "training_free", "bps"),
        ("pooled", "training_free", "bps"),
        ("posterior_mean", "untrained", "posterior_mean"),
        ("pooled", "untrained", "pooled"),
    ]
    scores = {(row.features, row.representation): row for row in found.rows}
    same, behind, ahead, alike = found.differences
    for pair in (same, alike):  # the same features on the same folds
        assert (pair.accuracy.mean, pair.accuracy.interval) == (0, (0, 0))
        assert (pair.class_mean.mean, pair.class_mean.interval) == (0, (0, 0))
    assert ahead.accuracy.mean == pytest.approx(
        scores[OURS].accuracy.mean - scores[TWIN].accuracy.mean
    )
    assert 0 < ahead.accuracy.interval[0] < ahead.accuracy.mean < ahead.accuracy.interval[1]
    assert behind.class_mean.mean == pytest.approx(-ahead.class_mean.mean)


def test_each_repeat_is_of_another_seed_and_rows_of_one_seed_are_compared():
    labels = classes_apart(90, 0.6, 2)[1]
    draws = [classes_apart(90, noise, 2)[0] for noise in (0.4, 0.8, 1.6)]
    values = [1.0, 10.0, 1.0]
    held = [Held(*both) for both in zip(draws, values, strict=True)]
    rows = {OURS: held, TWIN: held[:1]}
    found = cross_validate(rows, labels, RIDGE, CrossValidation(repeats=1), seeds=[2, 0, 7])
    assert (found.repeats, found.seeds) == (3, (2, 0, 7))
    ours, twin = found.rows
    assert (ours.parameters, twin.parameters) == ((1.0, 10.0, 1.0), (1.0, 1.0, 1.0))
    for repeat, accuracy in enumerate(ours.accuracies):
        fixed = RIDGE.model_copy(update={"alpha": (values[repeat],)})
        alone = held_out_predictions(fixed, draws[repeat], labels, folds=5, seed=2000 + repeat)
        assert accuracy == pytest.approx(np.mean(alone == labels))
    assert ours.accuracies[0] == twin.accuracies[0]
    assert ours.accuracies[2] < ours.accuracies[0]
    (pair,) = found.differences
    assert pair.accuracy.mean == pytest.approx(ours.accuracy.mean - twin.accuracy.mean)


def coverage(trials, repeats=2):
    """How often the interval of a difference holds the truth, by new items of the same kind."""
    asked = CrossValidation(repeats=repeats, folds=5)
    fixed = RIDGE.model_copy(update={"alpha": (1.0,)})

    def both(count, seed):
        features, labels = classes_apart(count, 0.7, seed, dimensions=4)
        rng = np.random.default_rng([1, seed])
        return {OURS: features, BAR: features + 0.4 * rng.normal(size=features.shape)}, labels

    new, answers = both(20_000, 10**6)
    differences = []
    for seed in range(100):  # classifiers of as many items as those of a fold
        rows, labels = both(120, 10**5 + seed)
        right = []
        for name, values in rows.items():
            mean, deviation = values.mean(axis=0), values.std(axis=0)
            ridge = RidgeClassifier(alpha=1.0).fit((values - mean) / deviation, labels)
            right.append(np.mean(ridge.predict((new[name] - mean) / deviation) == answers))
        differences.append(right[0] - right[1])
    truth = np.mean(differences)
    covered = 0
    for seed in range(trials):
        rows, labels = both(150, seed)
        held = {name: [Held(values, 1.0)] for name, values in rows.items()}
        (pair,) = cross_validate(held, labels, fixed, asked, seeds=[seed]).differences
        low, high = pair.accuracy.interval
        covered += low <= truth <= high
    return covered / trials


@pytest.mark.slow
def test_the_interval_of_a_difference_holds_the_known_one_in_many_trials():
    assert 0.91 <= coverage(300) <= 0.99


def spreads(points):
    return {"mean": points.std(axis=1), "pooled": np.abs(points).max(axis=1)}


def noise(seed):
    def encode(points):
        rng = np.random.default_rng(seed)
        return {name: rng.normal(size=(len(points), 4)) for name in ("mean", "pooled")}

    return encode


def test_a_probe_has_it_as_a_part_of_its_own_and_is_else_as_it_was(tmp_path):
    train, test = clouds("train"), clouds("test")
    protocol = ProbeProtocol(
        points=24, seeds=(5, 0), classifier=LinearSVM(c=(1e-3, 1e-1)), settings=("aligned",)
    )
    told = []
    asked = CrossValidation(repeats=2, folds=3)
    arguments = (spreads, noise, train, test, protocol, told.append)

    def bar(points):
        return {"bps": spreads}

    report = probe_encoders(*arguments, bar, asked).report
    found = report.cross_validation
    plain = probe_encoders(*arguments, bar).report
    assert report.model_copy(update={"cross_validation": None}) == plain
    assert "cross_validation" not in plain.plain()
    assert [(row.features, row.representation) for row in found.rows] == [
        OURS,
        TWIN,
        POOLED,
        POOLED_TWIN,
        BAR,
    ]
    assert (found.seed, found.seeds) == (5, (5, 0))
    assert found.items == len(train)
    row_of_c = {(row.features, row.representation): row.c for row in report.rows}
    assert found.rows[0].parameter == row_of_c[OURS][0]
    assert found.rows[0].parameters == row_of_c[OURS]
    assert "cross-validation: training-free bps, repeat 2 of 2" in told
    report.write(tmp_path / "probe.json")
    assert ProbeReport.read(tmp_path / "probe.json") == report
    block = format_table(report).split("\n\n")[-1].splitlines()
    assert block[0].split() == [
        *["training", "items,", "3", "folds", "2", "times,", "95", "%", "intervals"],
        "accuracy",
        "class",
        "mean",
    ]
    assert block[1].startswith("trained posterior mean ")
    assert block[5].startswith("training-free bps ")
    assert block[6].startswith("trained posterior mean less training-free bps ")
    assert block[6].split()[-3:] == ["+0.0", "[+0.0,", "+0.0]"]
    assert block[8].startswith("trained posterior mean less untrained ")


def test_features_of_anyone_are_cross_validated_and_too_many_folds_are_refused():
    features, labels = classes_apart(60, 0.5, 0)
    labels[:45] = labels[:45] % 2
    given = (features, labels, features, labels)
    report = probe_features(*given, cross_validation=CrossValidation(repeats=1, folds=3))
    (row,) = report.cross_validation.rows
    assert (row.features, row.representation) == ("given", "features")
    assert report.cross_validation.differences == ()
    with pytest.raises(UserError, match=r"fewer than the 30 folds .* fewer folds by --cv-folds"):
        probe_features(*given, cross_validation=CrossValidation(folds=30))
