"""Octant means are those of a loop over points, in every ugly case."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.kernel_choice import forced
from pc_crvae.geometry import octant_means, octant_means_of_views
from pc_crvae.geometry.kernels.cpu import octants, search


def by_loops(points: torch.Tensor, counts: list[int]) -> torch.Tensor:
    """The definition, point by point; ties in distance are broken by index."""
    cloud = points.double().numpy()
    means = np.zeros((len(cloud), len(counts), 8, 3))
    for i, point in enumerate(cloud):
        offsets = np.delete(cloud, i, axis=0) - point
        nearest = np.argsort((offsets**2).sum(axis=1), kind="stable")
        for scale, count in enumerate(counts):
            members: dict[int, list[np.ndarray]] = {}
            for offset in offsets[nearest[:count]]:
                if offset.any():
                    x, y, z = offset >= 0
                    members.setdefault(4 * x + 2 * y + z, []).append(offset)
            for octant, found in members.items():
                means[i, scale, octant] = np.mean(found, axis=0)
    return torch.from_numpy(means.reshape(len(cloud), -1))


def cloud(count: int, seed: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("kernels", ["fast", "reference"])
@pytest.mark.parametrize(
    ("count", "neighbors"),
    [(1, [3]), (2, [1]), (5, [9]), (17, [4]), (40, [1, 8, 39]), (100, [4, 16]), (300, [32])],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_octant_means_are_those_of_a_loop(kernels, count, neighbors, dtype):
    points = cloud(count, seed=count, dtype=dtype)
    with forced(kernels):
        found = octant_means(points[None], neighbors)[0]
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), by_loops(points, neighbors), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernels", ["fast", "reference"])
@pytest.mark.parametrize("count", [1, 2, 40, 200])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_octant_means_of_views_are_those_of_mirrored_clouds(kernels, count, dtype):
    points = torch.stack([cloud(count, seed=seed, dtype=dtype) for seed in (1, 2, 3)])
    points[1, ::2, 0] = 0.25  # offsets of zero count as positive in every view
    signs = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, -1]])
    with forced(kernels):
        found = octant_means_of_views(points, [1, 5, 20], signs)
        for view, mirrored in enumerate(signs.to(dtype)):
            expected = octant_means(points * mirrored, [1, 5, 20])
            torch.testing.assert_close(found[:, view], expected)


def test_a_point_that_is_not_finite_is_so_in_every_view():
    points = cloud(60, seed=4)[None]
    points[0, 7] = torch.nan
    with forced("fast"):
        found = octant_means_of_views(points, 4, -torch.ones(2, 3))
    assert found[:, :, 7].isnan().all()
    assert found[:, :, :7].isfinite().all()


@pytest.mark.parametrize("kernels", ["fast", "reference"])
def test_duplicates_take_their_place_among_the_neighbours_and_have_no_direction(kernels):
    points = torch.tensor([[0.0, 0, 0], [0, 0, 0], [1, 0, 0], [3, 0, 0]])
    with forced(kernels):
        found = octant_means(points[None], 2)[0].view(4, 8, 3)
    expected = torch.zeros(8, 3)
    expected[7, 0] = 1.0  # zero counts as positive: +x alone is the last octant
    torch.testing.assert_close(found[0], expected)
    torch.testing.assert_close(found[1], expected)


@pytest.mark.parametrize("kernels", ["fast", "reference"])
@pytest.mark.parametrize("place", [0.0, 1e6])
def test_a_collapsed_cloud_has_no_local_geometry(kernels, place):
    with forced(kernels):
        assert not octant_means(torch.full((2, 9, 3), place), 4).any()


@settings(max_examples=20, deadline=None)
@given(
    count=st.integers(2, 60),
    neighbors=st.integers(1, 70),
    seed=st.integers(0, 999),
    scale=st.sampled_from([1e-8, 1.0, 1e8]),
)
def test_fast_and_plain_agree_at_every_size_and_scale(count, neighbors, seed, scale):
    points = cloud(count, seed) * scale
    with forced("fast"):
        fast = octant_means(points[None], neighbors)
    with forced("reference"):
        plain = octant_means(points[None], neighbors)
    torch.testing.assert_close(fast / scale, plain / scale, rtol=1e-5, atol=1e-5)


def test_points_on_a_lattice_have_the_full_number_of_neighbours_in_spite_of_ties():
    steps = torch.arange(4.0)
    points = torch.cartesian_prod(steps, steps, steps)
    with forced("fast"):
        found = octant_means(points[None], 26)[0].view(64, 8, 3)
    inner = (points > 0).all(dim=1) & (points < 3).all(dim=1)
    # The 26 points of the surrounding cube are nearer than all others.
    with forced("reference"):
        plain = octant_means(points[None], 26)[0].view(64, 8, 3)
    torch.testing.assert_close(found[inner], plain[inner])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_points_that_are_nowhere_end_the_search_and_leave_the_others_as_they_are(value):
    points = cloud(60, seed=5)
    spoilt = torch.cat([points, torch.full((3, 3), value)])
    with forced("fast"):
        found = octant_means(spoilt[None], 8)[0, :60]
    torch.testing.assert_close(found, octant_means(points[None], 8)[0])


def test_clouds_at_the_end_of_their_precisions_range_keep_the_full_number_of_neighbours():
    points = cloud(60, seed=6)
    largest = torch.cdist(points, points).max()
    scale = 0.999 * np.sqrt(torch.finfo(torch.float32).max) / largest
    with forced("fast"):
        found = octant_means((points * scale)[None], 50)
    with forced("reference"):
        torch.testing.assert_close(found / scale, octant_means(points[None], 50))


@pytest.mark.parametrize("neighbors", [[8], [4, 40]])
def test_clumps_far_from_each_other_do_not_mislead_the_search(neighbors):
    # Points that follow each other along the curve may have neighbours at quite other distances.
    sizes = torch.tensor([1e-6, 1e-2, 1.0]).repeat(50)[:, None]
    points = cloud(150, 7, torch.float64) * sizes + torch.sign(cloud(150, 8, torch.float64)) * 3
    with forced("fast"):
        found = octant_means(points[None], neighbors)[0]
    torch.testing.assert_close(found, by_loops(points, neighbors), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("spread", [1.0, 100.0])
def test_neighbours_in_other_regions_of_a_large_cloud_are_found(spread):
    points = cloud(3 * octants._REGION * octants._BLOCK - 7, seed=9)
    points[::5] *= spread  # outliers, whose neighbours lie far along the curve
    with forced("fast"):
        found = octant_means(points[None], [4, 30])
    with forced("reference"):
        plain = octant_means(points[None], [4, 30])
    torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-4 * spread)


def test_blocks_and_regions_are_those_that_clouds_are_sorted_into():
    assert (octants._BLOCK, octants._REGION) == (search.BLOCK, search.REGION)


def test_the_order_of_the_points_does_not_matter():
    points = cloud(80, seed=3)
    order = torch.randperm(80, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        octant_means(points[None], 8)[0, order], octant_means(points[order][None], 8)[0]
    )


def test_half_precision_is_taken_in_float32_and_nothing_carries_a_gradient():
    points = cloud(20, seed=1).requires_grad_()
    assert not octant_means(points[None], 4).requires_grad
    assert octant_means(points[None].bfloat16(), 4).dtype == torch.float32


@pytest.mark.parametrize("neighbors", [0, [], [3, 3], [4, 2]])
def test_numbers_of_neighbours_that_do_not_rise_are_refused(neighbors):
    with pytest.raises(ValueError, match="positive and rise"):
        octant_means(torch.zeros(1, 5, 3), neighbors)


@pytest.mark.parametrize("shape", [(5, 3), (1, 5, 2), (1, 0, 3)])
def test_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="clouds must be"):
        octant_means(torch.zeros(shape), 2)
