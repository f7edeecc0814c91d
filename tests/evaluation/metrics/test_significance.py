import numpy as np
import pytest
from scipy.stats import t as student_t

from benchmarks.interval_coverage import DEVIATIONS, coverage
from pc_crvae.evaluation.metrics.significance import (
    combined_p_value,
    item_intervals,
    mcnemar_exact,
    paired_difference,
    t_interval,
)


def correct(share: float, count: int, seed: int, seeds: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).random((seeds, count)) < share


def test_a_classifier_does_not_beat_itself():
    right = correct(0.9, 500, 0)
    assert paired_difference(right, right) == {"difference": 0, "interval": (0, 0)}


def test_the_difference_is_that_of_the_accuracies_and_changes_sign_with_the_order():
    first, second = correct(0.9, 400, 0), correct(0.7, 400, 1)
    ahead, behind = paired_difference(first, second), paired_difference(second, first)
    mean, (low, high) = ahead["difference"], ahead["interval"]
    assert mean == pytest.approx(first.mean() - second.mean())
    assert behind["difference"] == pytest.approx(-mean)
    assert 0 < low < mean < high


def test_the_interval_of_one_seed_is_as_wide_as_the_binomials():
    first, second = correct(0.9, 2000, 0, seeds=1), correct(0.9, 2000, 1, seeds=1)
    low, high = paired_difference(first, second)["interval"]
    deviation = (first.astype(float) - second).std() / np.sqrt(2000)
    assert high - low == pytest.approx(2 * 1.96 * deviation, rel=0.05)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    covered = 0
    for trial in range(100):
        first, second = (correct(0.8, 200, 2 * trial + k, seeds=1) for k in (0, 1))
        low, high = paired_difference(first, second)["interval"]
        covered += low <= 0 <= high
    assert 89 <= covered <= 99


def test_intervals_of_several_means_are_as_wide_as_their_deviations():
    values = np.stack([correct(0.9, 2000, 0, seeds=1)[0], np.zeros(2000)], axis=1).astype(float)
    (low, high), constant = item_intervals(values)
    assert high - low == pytest.approx(2 * 1.96 * values[:, 0].std() / np.sqrt(2000), rel=0.05)
    assert low < values[:, 0].mean() < high
    np.testing.assert_array_equal(constant, [0, 0])


def test_a_mean_over_groups_varies_as_the_small_groups_do():
    groups = np.repeat([0, 1], [1900, 100])
    values = np.random.default_rng(0).random((2000, 1)) < np.where(groups, 0.5, 0.9)[:, None]
    ((low, high),) = item_intervals(values.astype(float), groups)
    variances = [values[groups == group].var() / np.sum(groups == group) for group in (0, 1)]
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(sum(variances)) / 2, rel=0.06)
    assert low < np.mean([values[groups == group].mean() for group in (0, 1)]) < high


def flags(text: str) -> np.ndarray:
    return np.array([letter == "1" for letter in text])


def test_mcnemar_counts_only_what_one_side_alone_got_right():
    # 4 against 0: two of the 2^4 outcomes are as far from half.
    assert mcnemar_exact(flags("11110110"), flags("00000110")) == pytest.approx(2 / 16)
    # 3 against 1: 2 (1 + 4) of 16.
    assert mcnemar_exact(flags("1110"), flags("0001")) == pytest.approx(10 / 16)
    assert mcnemar_exact(flags("0001"), flags("1110")) == pytest.approx(10 / 16)
    assert mcnemar_exact(flags("10"), flags("01")) == 1
    assert mcnemar_exact(flags("0110"), flags("0110")) == 1


def test_mcnemar_errs_as_seldom_as_it_says():
    p_values = [
        mcnemar_exact(correct(0.8, 300, 2 * k, 1)[0], correct(0.8, 300, 2 * k + 1, 1)[0])
        for k in range(200)
    ]
    assert np.mean(np.array(p_values) < 0.05) < 0.08


def test_p_values_of_several_seeds_are_averaged_and_doubled():
    assert combined_p_value([0.03]) == 0.03
    assert combined_p_value([0.01, 0.03]) == pytest.approx(0.04)
    assert combined_p_value([0.9, 0.8]) == 1


def test_the_t_interval_of_shapes_that_all_agree_is_students_over_the_seeds():
    """Each seed adds or takes the same share of every shape: no variance but that of seeds."""
    of_seeds = np.array([0.01, 0.03, 0.05])
    first = np.repeat(of_seeds[:, None], 50, axis=1)
    low, high = t_interval(first, np.zeros_like(first))
    expected = student_t.interval(0.95, 2, loc=0.03, scale=0.02 / np.sqrt(3))
    assert (low, high) == pytest.approx(expected)


def test_the_t_interval_of_seeds_that_all_agree_is_students_over_the_shapes():
    shapes = np.random.default_rng(0).normal(size=40)
    first = np.repeat(shapes[None], 3, axis=0)
    low, high = t_interval(first, np.zeros_like(first))
    scale = shapes.std(ddof=1) / np.sqrt(40)
    assert (low, high) == pytest.approx(student_t.interval(0.95, 39, shapes.mean(), scale))


def test_a_single_seed_has_no_t_interval_and_equal_arms_have_one_of_no_width():
    right = correct(0.9, 50, 0)
    assert t_interval(right[:1], right[:1]) is None
    assert t_interval(right, right) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_the_t_interval_holds_however_much_three_seeds_differ(deviation):
    """At its level or above it, within three standard errors of 300 trials."""
    assert coverage(deviation, 300)["t"] >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 300)


def test_tables_of_different_shapes_are_refused():
    right = correct(0.5, 10, 0)
    for compare in (paired_difference, t_interval):
        with pytest.raises(ValueError, match="two equal tables"):
            compare(right, right[:, :1])  # which NumPy would stretch
    with pytest.raises(ValueError, match="one shape"):
        mcnemar_exact(flags("10"), flags("1"))
