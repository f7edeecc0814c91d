"""The Chamfer distance on top of the fast search, against the reference and the loops."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.textbook import chamfer as chamfer_loops
from helpers.crossing import crossed
from helpers.kernel_choice import forced
from helpers.ugly_clouds import UGLY_PAIRS, few_examples, lattice_clouds, randn, ugly_pairs
from pc_crvae.geometry import chamfer_distance
from pc_crvae.geometry.kernels import cpu


@pytest.mark.parametrize(
    ("case", "squared", "directions"), crossed(UGLY_PAIRS, [True, False], ["sum", "max"])
)
def test_the_chamfer_distance_and_its_gradients_are_the_references(
    case, squared, directions, strategy
):
    pairs, results = ugly_pairs(torch.float32)[case], []
    for mode in ("fast", "reference"):
        leaves = [cloud.clone().requires_grad_() for cloud in pairs]
        with forced(mode):
            distance = chamfer_distance(*leaves, squared=squared, directions=directions)
        results.append([distance, *torch.autograd.grad(distance.sum(), leaves)])
    for value, expected in zip(*results, strict=True):
        scale = float(expected.detach().abs().max())
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6 * scale)


@few_examples
@given(x=lattice_clouds, y=lattice_clouds, sorting_pays=st.sampled_from([0, 2**60]))
def test_the_chamfer_distance_of_clouds_full_of_ties_is_the_triple_loops(x, y, sorting_pays):
    leaves = [torch.from_numpy(cloud)[None].requires_grad_() for cloud in (x, y)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu, "_SORTING_PAYS", sorting_pays)
        distance = chamfer_distance(*leaves)
    distance.sum().backward()
    expected, *gradients = chamfer_loops.chamfer_with_gradients(x, y)
    assert distance.item() == pytest.approx(expected, rel=1e-6)
    for leaf, gradient in zip(leaves, gradients, strict=True):
        # Another choice among equals would move it by 2 / 80 at least.
        np.testing.assert_allclose(leaf.grad[0], gradient, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("which", [0, 1])
def test_a_nan_in_a_cloud_makes_its_chamfer_distance_nan_and_no_other(which, strategy):
    clouds = [randn(3, 90, 3), randn(3, 70, 3, seed=1)]
    clean = chamfer_distance(*clouds)
    clouds[which][1, 4, 2] = torch.nan
    distance = chamfer_distance(*clouds)
    assert distance.isnan().tolist() == [False, True, False]
    assert torch.equal(distance[[0, 2]], clean[[0, 2]])
