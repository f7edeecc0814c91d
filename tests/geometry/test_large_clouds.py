"""Clouds that are searched region by region, and the memory that it takes."""

import os

import pytest
import torch

from benchmarks.memory import added_by
from helpers.kernel_choice import forced
from pc_crvae.geometry import chamfer_distance, k_nearest_neighbors, mutual_nearest_neighbors

POINTS = 6_000  # six regions, and enough pairs for the search by blocks


def spread(seed, count=POINTS):
    directions = torch.randn(1, count, 3, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(directions, dim=2)


def lattice(seed):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 12, (1, POINTS, 3), generator=random).float()


@pytest.mark.parametrize("cloud", [spread, lattice])
def test_the_nearest_of_a_large_cloud_are_those_of_plain_torch(cloud):
    x, y = cloud(0), cloud(1)
    x[0, 17], y[0, 4_000:4_100] = torch.nan, torch.nan
    y[0, 5_000:5_100] += 100  # a region apart
    with forced("fast"):
        found = mutual_nearest_neighbors(x, y)
    measured = (~x.isnan().any(dim=2), ~y.isnan().any(dim=2))
    with forced("reference"):
        expected = mutual_nearest_neighbors(x.nan_to_num(1e6), y.nan_to_num(1e6))
    for ours, theirs, is_measured in zip(found, expected, measured, strict=True):
        assert torch.equal(ours[is_measured], theirs[is_measured])


@pytest.mark.parametrize("cloud", [spread, lattice])
def test_the_distances_to_the_k_nearest_of_a_large_cloud_are_those_of_plain_torch(cloud):
    points = cloud(0)
    points[0, 5_000:5_100] += 100
    with forced("fast"):
        found = k_nearest_neighbors(points, 9)
    assert torch.equal(found[0, :, 0], torch.arange(POINTS))
    assert (found.sort(dim=2).values.diff(dim=2) > 0).all()  # none twice
    expected = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    torch.testing.assert_close(
        expected.gather(2, found), expected.topk(9, dim=2, largest=False).values, rtol=1e-6, atol=0
    )


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="added memory needs Linux's /proc"
)
def test_searches_take_memory_by_the_number_of_points_not_of_pairs():
    count, k = 60_000, 8
    x, y = spread(0, count), spread(1, count)
    with forced("fast"):
        for_chamfer = 1e6 * added_by(lambda: chamfer_distance(x, y))
        for_neighbors = 1e6 * added_by(lambda: k_nearest_neighbors(x, k))
    result = 8 * k * count
    assert for_neighbors >= result / 2, "the measure misses even the result"
    # A row of distances a point would take 240,000 bytes of it.
    assert for_neighbors < result + 400 * count
    assert for_chamfer < 400 * count
