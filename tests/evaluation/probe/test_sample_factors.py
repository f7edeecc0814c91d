"""Systems of samples have the solutions of systems that are written out."""

import numpy as np
import pytest

from pc_crvae.evaluation.probe import sample_factors
from pc_crvae.evaluation.probe.sample_factors import SampleFactors
from pc_crvae.evaluation.probe.sample_products import SampleProducts

C = 3.0


def solution(inputs, rows, target, c=C):
    chosen = inputs[rows]
    return np.linalg.solve(np.eye(len(chosen)) + 2 * c * chosen @ chosen.T, target)


def flags_of(rows, n):
    flags = np.zeros(n, dtype=bool)
    flags[rows] = True
    return flags


@pytest.fixture
def inputs():
    return np.random.default_rng(0).normal(size=(80, 60))


@pytest.fixture
def made(monkeypatch):
    """The sizes of the factors that are made."""
    sizes, factor = [], sample_factors.factor

    def counted(gram, c):
        sizes.append(len(gram))
        return factor(gram, c)

    monkeypatch.setattr(sample_factors, "factor", counted)
    return sizes


@pytest.mark.parametrize("is_prepared", [True, False])
@pytest.mark.parametrize(
    ("came", "gone"), [([], []), ([70, 45], []), ([], [0, 39, 7]), ([41, 79], [3, 20, 38])]
)
def test_samples_that_come_and_go_are_solved_for_by_the_factor_before(
    inputs, made, came, gone, is_prepared
):
    rng = np.random.default_rng(1)
    factors = SampleFactors(SampleProducts(inputs))
    if is_prepared:
        factors.products.prepare(np.ones((80, 1), dtype=bool))
    factors.solve(4, flags_of(range(40), 80), C, rng.normal(size=40))
    rows = np.sort(np.setdiff1d([*range(40), *came], gone))
    target = rng.normal(size=len(rows))
    found = factors.solve(4, flags_of(rows, 80), C, target)
    np.testing.assert_allclose(found, solution(inputs, rows, target), rtol=1e-9, atol=1e-12)
    assert made == [40]


@pytest.mark.parametrize(
    ("k", "c", "rows"), [(1, C, range(40)), (0, 2 * C, range(40)), (0, C, range(20, 60))]
)
def test_another_class_or_penalty_and_a_great_change_have_a_factor_of_their_own(
    inputs, made, k, c, rows
):
    factors = SampleFactors(SampleProducts(inputs))
    target = np.random.default_rng(2).normal(size=40)
    factors.solve(0, flags_of(range(40), 80), C, target)
    found = factors.solve(k, flags_of(rows, 80), c, target)
    np.testing.assert_allclose(found, solution(inputs, rows, target, c), rtol=1e-9, atol=1e-12)
    assert made == [40, 40]


def test_factors_that_memory_is_too_small_for_are_made_again(inputs, made, monkeypatch):
    monkeypatch.setattr(sample_factors, "_MOST_KEPT", 1_600)
    factors = SampleFactors(SampleProducts(inputs))
    target = np.random.default_rng(3).normal(size=40)
    for k in (0, 1, 0, 1):
        found = factors.solve(k, flags_of(range(40), 80), C, target)
        np.testing.assert_allclose(found, solution(inputs, range(40), target), rtol=1e-9)
    assert made == [40, 40, 40]  # that of class 0 is kept


def test_single_precision_is_kept(inputs):
    factors = SampleFactors(SampleProducts(inputs.astype(np.float32)))
    for rows in (range(40), range(2, 42)):
        target = np.random.default_rng(4).normal(size=40).astype(np.float32)
        found = factors.solve(0, flags_of(rows, 80), C, target)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, solution(inputs, rows, target), rtol=1e-3, atol=1e-5)


def test_no_sample_has_no_solution_to_give(inputs):
    factors = SampleFactors(SampleProducts(inputs))
    assert factors.solve(0, np.zeros(80, dtype=bool), C, np.empty(0)).shape == (0,)
    assert factors.solve(0, np.zeros(80, dtype=bool), C, np.empty(0)).shape == (0,)
