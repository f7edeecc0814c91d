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
            rows = inputs[chosen]
            np.testing.assert_allclose(products.among(chosen), rows @ rows.T, atol=1e-12)


def test_products_are_made_once(monkeypatch):
    inputs = np.random.default_rng(0).normal(size=(50, 4))
    products = SampleProducts(inputs)
    subsets = np.arange(50)[:, None] % 3 != np.arange(3)
    products.prepare(subsets)
    monkeypatch.setattr(products, "_add", lambda new: pytest.fail("made again"))
    products.prepare(subsets)
    products.inputs = np.full_like(inputs, np.nan)  # nothing is read of it any more
    rows = inputs[subsets[:, 0]]
    np.testing.assert_allclose(products.among(subsets[:, 0]), rows @ rows.T)


def test_no_subset_and_an_empty_one_have_no_products():
    products = SampleProducts(np.ones((5, 2)))
    products.prepare(np.zeros((5, 0), dtype=bool))
    products.prepare(np.zeros((5, 2), dtype=bool))
    assert products.among(np.zeros(5, dtype=bool)).shape == (0, 0)
