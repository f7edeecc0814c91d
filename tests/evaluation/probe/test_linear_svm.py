import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from pc_crvae.errors import UserError
from pc_crvae.evaluation.metrics.accuracy import accuracy, class_mean_accuracy
from pc_crvae.evaluation.probe import squared_hinge
from pc_crvae.evaluation.probe.linear_svm import clearly_behind, fit_linear_svm


def blobs(count=240, dimensions=12, classes=4, spread=0.8, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = np.random.default_rng(99).normal(size=(classes, dimensions))
    return centres[labels] + spread * rng.normal(size=(count, dimensions)), labels


def overlapping_classes(count=900, dimensions=160, classes=5):
    """Correlated features, uneven classes that no plane parts."""
    rng = np.random.default_rng(5)
    labels = np.sort(np.arange(count) % classes * (rng.random(count) < 0.9))
    features = rng.normal(size=(count, dimensions)) @ rng.normal(size=(dimensions, dimensions))
    return features + 4 * rng.normal(size=(classes, dimensions))[labels], labels


def relative_duality_gaps(probe, features, labels):
    inputs = np.hstack([(features - probe.shift) / probe.scale, np.ones((len(features), 1))])
    targets = np.where(labels[:, None] == probe.classes, 1.0, -1.0)
    duals = 2 * probe.c * np.maximum(1 - targets * (inputs @ probe.weights), 0)
    primal = 0.5 * np.sum(probe.weights**2, axis=0) + np.sum(duals**2, axis=0) / (4 * probe.c)
    combined = inputs.T @ (targets * duals)
    dual = duals.sum(0) - 0.5 * np.sum(combined**2, 0) - np.sum(duals**2, 0) / (4 * probe.c)
    return (primal - dual) / primal


def svm_objective(weights, inputs, targets, c):
    slack = np.maximum(1 - targets * (inputs @ weights), 0)
    return 0.5 * np.sum(weights**2) + c * np.sum(slack**2)


@pytest.mark.parametrize("c", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize(("count", "dimensions"), [(240, 12), (60, 100)])
def test_it_finds_the_minimum_that_liblinear_finds(c, count, dimensions):
    features, labels = blobs(count, dimensions)
    probe = fit_linear_svm(features, labels, c_grid=[c])
    assert probe.converged
    standardised = (features - features.mean(axis=0)) / features.std(axis=0)
    oracle = LinearSVC(C=c, dual=False, tol=1e-8, max_iter=10_000).fit(standardised, labels)
    expected = np.vstack([oracle.coef_.T, oracle.intercept_])
    inputs = np.hstack([standardised, np.ones((count, 1))])
    targets = np.where(labels[:, None] == np.arange(4), 1.0, -1.0)
    ours = svm_objective(probe.weights, inputs, targets, c)
    assert ours == pytest.approx(svm_objective(expected, inputs, targets, c), rel=1e-4)
    np.testing.assert_allclose(probe.weights, expected, atol=0.02 * np.abs(expected).max())
    assert np.mean(probe.predict(features) == oracle.predict(standardised)) > 0.99


@pytest.mark.parametrize("c", [1e-4, 1e-3, 1e-2, 0.1, 1.0, 100.0, 1e5])
def test_every_class_is_within_the_tolerance_of_its_dual(c):
    features, labels = overlapping_classes()
    probe = fit_linear_svm(features, labels, c_grid=[c])
    assert probe.converged
    gaps = relative_duality_gaps(probe, features, labels)
    assert np.all((gaps > -1e-9) & (gaps < 1.01e-4))


@pytest.mark.parametrize("c", [1e-3, 1e-2, 0.1, 1.0])
def test_the_objective_is_as_low_as_liblinears_on_overlapping_classes(c):
    features, labels = overlapping_classes()
    probe = fit_linear_svm(features, labels, c_grid=[c])
    inputs = np.hstack([(features - probe.shift) / probe.scale, np.ones((len(features), 1))])
    oracle = LinearSVC(C=c, dual=False, tol=1e-6, max_iter=10_000).fit(inputs[:, :-1], labels)
    expected = np.vstack([oracle.coef_.T, oracle.intercept_])
    targets = np.where(labels[:, None] == probe.classes, 1.0, -1.0)
    least = svm_objective(expected, inputs, targets, c)
    assert svm_objective(probe.weights, inputs, targets, c) <= least * (1 + 1e-5)


@pytest.mark.parametrize("c", [1e-3, 1.0, 1e4])
def test_repeated_features_and_samples_are_no_obstacle(c):
    features, labels = blobs(spread=2.0)
    doubled = np.tile(np.hstack([features, features, features[:, :3] - features[:, 3:6]]), (2, 1))
    probe = fit_linear_svm(doubled, np.tile(labels, 2), c_grid=[c])
    assert probe.converged
    assert relative_duality_gaps(probe, doubled, np.tile(labels, 2)).max() < 1e-3


@pytest.mark.parametrize("c", [1e3, 1e6, 1e9])
def test_convergence_is_claimed_only_where_it_was_reached_however_large_c_is(c):
    for features, labels in (blobs(60, 100), blobs(spread=2.0), overlapping_classes(300, 20)):
        probe = fit_linear_svm(features, labels, c_grid=[c])
        assert np.isfinite(probe.weights).all()
        assert accuracy(labels, probe.predict(features)) > 0.5
        if probe.converged:
            assert relative_duality_gaps(probe, features, labels).max() < 1e-3


@pytest.mark.parametrize(
    ("largest_single", "relative", "absolute"), [(0, 1e-8, 1e-10), (3.0, 1e-5, 1e-6)]
)
@pytest.mark.parametrize("active", [0, 5, 19])
def test_a_direction_from_few_samples_is_newtons(active, largest_single, relative, absolute):
    rng = np.random.default_rng(active)
    inputs, gradient = rng.normal(size=(40, 20)), rng.normal(size=(20, 1))
    chosen = np.arange(40)[:, None] < active
    grams = squared_hinge.ActiveGrams(inputs, 1)
    grams.largest_single = largest_single
    found = grams.direction(np.array([0]), chosen, 3.0, gradient)
    of_active = inputs[:active]
    hessian = np.eye(20) + 2 * 3.0 * of_active.T @ of_active
    expected = -np.linalg.solve(hessian, gradient)
    np.testing.assert_allclose(found, expected, rtol=relative, atol=absolute)


@pytest.mark.parametrize("c", [1e-4, 1e-2, 1.0])
def test_samples_far_larger_than_all_others_are_no_obstacle(c):
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 4
    scales = np.exp(0.7 * rng.standard_t(2, size=(600, 1)))
    spectrum = np.logspace(0, -4, 128)
    features = (rng.normal(size=(4, 128))[labels] + rng.normal(size=(600, 128))) * spectrum * scales
    features = features @ np.linalg.qr(rng.normal(size=(128, 128)))[0]
    features[0] *= 1e6
    probe = fit_linear_svm(features, labels, c_grid=[c])
    assert np.isfinite(probe.weights).all()
    if probe.converged:
        assert relative_duality_gaps(probe, features, labels).max() < 1e-3


@pytest.mark.parametrize("condition", [1e4, 1e6])
def test_correlated_features_converge_along_the_path(condition):
    rng = np.random.default_rng(0)
    labels = np.arange(500) % 5
    spectrum = np.logspace(0, -np.log10(condition) / 2, 96)
    features = (rng.normal(size=(5, 96))[labels] + rng.normal(size=(500, 96))) * spectrum
    features = features @ np.linalg.qr(rng.normal(size=(96, 96)))[0]
    probe = fit_linear_svm(features, labels, c_grid=[1e-4, 1e-2, 1.0])
    assert probe.converged
    for c in (1.0, 100.0):
        probe = fit_linear_svm(features, labels, c_grid=[c])
        assert probe.converged
        assert relative_duality_gaps(probe, features, labels).max() < 1.01e-4


def test_what_cross_validation_predicted_is_kept():
    features, labels = blobs(count=90, dimensions=60, spread=3.0)
    probe = fit_linear_svm(features, labels, seed=2)
    expected = np.empty_like(labels)
    for rows, held_out in StratifiedKFold(3, shuffle=True, random_state=2).split(features, labels):
        fitted = fit_linear_svm(features[rows], labels[rows], c_grid=[probe.c])
        expected[held_out] = fitted.predict(features[held_out])
    assert np.mean(probe.held_out == expected) > 0.97
    assert fit_linear_svm(features, labels, c_grid=[1.0]).held_out is None


def test_a_solver_stopped_early_says_so(monkeypatch):
    monkeypatch.setattr("pc_crvae.evaluation.probe.squared_hinge._MAX_STEPS", 2)
    assert not fit_linear_svm(*overlapping_classes(), c_grid=[1.0]).converged
    assert not fit_linear_svm(*overlapping_classes(), c_grid=[1e-4, 1.0]).converged


def test_the_number_of_threads_changes_no_digit():
    features, labels = overlapping_classes()
    free = fit_linear_svm(features, labels)
    with threadpool_limits(1):
        single = fit_linear_svm(features, labels)
    np.testing.assert_array_equal(free.weights, single.weights)
    assert free.c == single.c


def test_separated_classes_are_told_apart_on_new_samples():
    probe = fit_linear_svm(*blobs(spread=0.3), seed=0)
    features, labels = blobs(spread=0.3, seed=1)
    assert accuracy(labels, probe.predict(features)) > 0.98


def test_labels_need_not_be_consecutive():
    features, labels = blobs(classes=3, spread=0.1)
    probe = fit_linear_svm(features, np.array([2, 7, 30])[labels])
    assert set(probe.predict(features)) == {2, 7, 30}


def test_two_classes_are_enough():
    features, labels = blobs(classes=2, spread=0.2)
    assert accuracy(labels, fit_linear_svm(features, labels).predict(features)) == 1


def test_neither_scale_nor_shift_of_a_feature_matters():
    features, labels = blobs()
    moved = features * np.logspace(-6, 6, 12) + np.linspace(-100, 100, 12)
    expected = fit_linear_svm(features, labels).predict(features)
    np.testing.assert_array_equal(fit_linear_svm(moved, labels).predict(moved), expected)


def test_constant_features_change_nothing():
    features, labels = blobs()
    widened = np.hstack([features, np.full((len(features), 2), 3.7)])
    probe = fit_linear_svm(widened, labels)
    assert np.isfinite(probe.weights).all()
    expected = fit_linear_svm(features, labels).predict(features)
    np.testing.assert_array_equal(probe.predict(widened), expected)


def test_the_same_seed_gives_the_same_classifier_to_the_last_digit():
    features, labels = blobs(spread=1.5)
    first, second = (fit_linear_svm(features, labels, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.weights, second.weights)


def held_out_accuracies(features, labels, grid):
    """The share of items that a classifier of each C gets right in the fold it has not seen."""
    right = dict.fromkeys(grid, 0)
    for rows, held_out in StratifiedKFold(3, shuffle=True, random_state=0).split(features, labels):
        for c in grid:
            probe = fit_linear_svm(features[rows], labels[rows], c_grid=(c,))
            right[c] += (probe.predict(features[held_out]) == labels[held_out]).sum()
    return {c: count / len(labels) for c, count in right.items()}


def test_the_smallest_of_equally_good_penalties_is_chosen():
    features, labels = blobs(spread=0.01)
    grid = (1.0, 0.01, 0.1)
    assert set(held_out_accuracies(features, labels, grid).values()) == {1.0}
    assert fit_linear_svm(features, labels, c_grid=grid).c == 0.01


def test_the_penalty_with_the_best_held_out_accuracy_is_chosen():
    features, labels = blobs(count=90, dimensions=60, spread=3.0)
    grid = (1e-6, 1e-3, 1.0)
    tried = held_out_accuracies(features, labels, grid)
    assert len(set(tried.values())) > 1
    assert tried[fit_linear_svm(features, labels, c_grid=grid).c] == max(tried.values())


@pytest.fixture
def fitted_at(monkeypatch):
    """The penalties of all fits, those that lead up to others among them."""
    penalties, minimise = [], squared_hinge.minimise

    def recorded(inputs, targets, c, *others):
        penalties.append(c)
        return minimise(inputs, targets, c, *others)

    monkeypatch.setattr("pc_crvae.evaluation.probe.linear_svm.minimise", recorded)
    return penalties


def test_penalties_clearly_behind_a_smaller_one_are_left_out_of_other_folds(fitted_at):
    features, labels = blobs(count=1200, dimensions=300, classes=4, spread=8.0)
    grid = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    chosen = fit_linear_svm(features, labels, c_grid=grid)
    assert chosen.converged
    last = max(fitted_at)
    assert chosen.c < last < 1.0
    assert fitted_at.count(last) == 1
    tried = held_out_accuracies(features, labels, grid)
    assert tried[chosen.c] == max(tried.values())


def test_penalties_about_as_good_as_the_best_are_tried_in_every_fold(fitted_at):
    features, labels = blobs(count=90, dimensions=60, spread=3.0)
    fit_linear_svm(features, labels, c_grid=(1e-2, 1e-1))
    assert fitted_at.count(1e-2) >= 3
    assert fitted_at.count(1e-1) >= 3


@pytest.mark.parametrize(
    ("lost", "gained", "expected"),
    [
        (9, 0, False),
        (10, 0, True),
        (120, 80, False),
        (150, 100, True),
        (80, 120, False),
        (0, 0, False),
    ],
)
def test_a_difference_of_more_than_three_deviations_is_clear(lost, gained, expected):
    right, other = np.zeros(400, dtype=bool), np.zeros(400, dtype=bool)
    other[:lost], right[lost : lost + gained] = True, True
    right[300:] = other[300:] = True
    assert clearly_behind(right, other) is expected


@pytest.mark.parametrize("grid", [(1e-4, 1e-3, 1e-2, 0.1, 1.0), (1e-2, 1.0)])
@pytest.mark.parametrize(("count", "dimensions"), [(900, 160), (120, 200)])
def test_what_starts_at_the_mean_of_the_folds_is_as_near_the_minimum(grid, count, dimensions):
    features, labels = overlapping_classes(count, dimensions)
    probe = fit_linear_svm(features, labels, c_grid=grid)
    assert probe.converged
    assert relative_duality_gaps(probe, features, labels).max() < 1.01e-4
    straight = fit_linear_svm(features, labels, c_grid=(probe.c,))
    np.testing.assert_allclose(probe.weights, straight.weights, atol=0.02 * probe.weights.max())


@pytest.mark.parametrize("c", [1.0, 10.0])
def test_features_with_much_in_common_converge_though_single_precision_is_not_enough(c):
    rng = np.random.default_rng(3)
    labels = np.arange(900) % 5
    latent = rng.normal(size=(5, 12))[labels] + rng.normal(size=(900, 12))
    features = latent @ rng.normal(size=(12, 400)) + 0.1 * rng.normal(size=(900, 400))
    probe = fit_linear_svm(features, labels, c_grid=(c,))
    assert probe.converged
    assert relative_duality_gaps(probe, features, labels).max() < 1.01e-4


def test_a_class_smaller_than_the_folds_is_named():
    features, labels = blobs(count=40)
    keep = np.flatnonzero((labels != 2) | (np.arange(40) < 8))
    with pytest.raises(UserError, match=r"class 2 has 2 training items.*3 folds"):
        fit_linear_svm(features[keep], labels[keep], folds=3)


def test_a_single_class_is_refused():
    features, _ = blobs()
    with pytest.raises(UserError, match="all training items have the class 0"):
        fit_linear_svm(features, np.zeros(len(features), dtype=np.int64))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_not_finite_are_counted_and_refused(bad):
    features, labels = blobs()
    probe = fit_linear_svm(features, labels)
    features[[3, 5], 1] = bad
    with pytest.raises(UserError, match="2 of 240 rows of the training features"):
        fit_linear_svm(features, labels)
    with pytest.raises(UserError, match="2 of 240 rows of the features to classify"):
        probe.predict(features)


def test_another_number_of_labels_than_of_samples_is_refused():
    features, labels = blobs()
    with pytest.raises(UserError, match="240 samples came with 239 labels"):
        fit_linear_svm(features, labels[:-1])


def test_wrong_shapes_are_a_programmers_mistake():
    features, labels = blobs()
    probe = fit_linear_svm(features, labels)
    with pytest.raises(ValueError, match="expected 12 features, got 11"):
        probe.predict(features[:, :11])
    with pytest.raises(ValueError, match=r"\(n, d\)"):
        fit_linear_svm(features[0], labels)


def test_class_mean_accuracy_weighs_classes_and_not_samples():
    labels = np.array([0, 0, 0, 0, 0, 0, 2, 2])
    predictions = np.array([0, 0, 0, 0, 0, 0, 2, 1])
    assert accuracy(labels, predictions) == 7 / 8
    assert class_mean_accuracy(labels, predictions) == 3 / 4
