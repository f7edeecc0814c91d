"""Products that are kept are the products."""

import numpy as np
import pytest

from pc_crvae.evaluation.probe.sample_products import SampleProducts


def subsets_of(rng, n, k, share):
    return rng.random((n, k)) < share


@pytest.mark.parametrize("most", [12_000, 60, 5])
def test_products_of_any_subset_are_those_of_its_rows(most):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(100, 7))
    products = SampleProducts(inputs, most)
    for share in (0.1, 0.3, 0.05, 0.6, 0.2, 1.0):
        subsets = subsets_of(rng, 100, 3, share)
        products.prepare(subsets)
        for chosen in (*subsets.T, subsets_of(rng, 100, 1, 0.5)[:, 0]):
            rows, others = np.flatnonzero(chosen), np.flatnonzero(subsets[:, 0])
            expected = inputs[rows] @ inputs[others].T
            np.testing.assert_allclose(products.among(rows, others), expected, atol=1e-12)


def test_products_are_made_once(monkeypatch):
    inputs = np.random.default_rng(0).normal(size=(50, 4))
    products = SampleProducts(inputs)
    subsets = np.arange(50)[:, None] % 3 != np.arange(3)
    products.prepare(subsets)
    monkeypatch.setattr(products, "_add", lambda new: pytest.fail("made again"))
    products.prepare(subsets)
    products.inputs = np.full_like(inputs, np.nan)  # nothing is read of it any more
    rows = np.flatnonzero(subsets[:, 0])
    np.testing.assert_allclose(products.among(rows, rows), inputs[rows] @ inputs[rows].T)


def test_no_subset_and_an_empty_one_have_no_products():
    products = SampleProducts(np.ones((5, 2)))
    products.prepare(np.zeros((5, 0), dtype=bool))
    products.prepare(np.zeros((5, 2), dtype=bool))
    nothing = np.empty(0, dtype=np.int64)
    assert products.among(nothing, nothing).shape == (0, 0)
