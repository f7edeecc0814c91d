"""Octant statistics and basis point sets are those of loops, in every ugly case."""

import math

import numpy as np
import pytest
import torch

from pc_crvae.geometry import octant_means
from pc_crvae.models.descriptors import BasisPointSet, OctantStatistics


def cloud(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    points -= points.mean(dim=0)
    return points / points.norm(dim=1).max().clamp(min=1)


def with_duplicates():
    return torch.cat([cloud(9, seed=1), cloud(9, seed=1)[:5], cloud(9, seed=1)[:1]])


CLOUDS = {
    "one point": torch.tensor([[0.3, -0.2, 0.1]], dtype=torch.float64),
    "one at the origin": torch.zeros(1, 3, dtype=torch.float64),
    "two points": cloud(2),
    "few points": cloud(5),
    "duplicates": with_duplicates(),
    "all at one place": torch.full((6, 3), 0.2, dtype=torch.float64),
    "a plane": cloud(40) * torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64),
    "many points": cloud(150),
}


def regions_by_loops(points):
    """Which points lie in each of the ten regions, asked one by one."""
    found = []
    for x, y, z in points.tolist():
        place = (x, y, z)
        radius = math.sqrt(x * x + y * y + z * z)
        inside = [True]
        for axis in range(3):
            angle = math.acos(min(1.0, abs(place[axis]) / radius)) if radius else 0.0
            inside.append(math.degrees(angle) <= 75)
        for axis in range(3):
            across = math.hypot(*(value for other, value in enumerate(place) if other != axis))
            for sign in (1, -1):
                height = sign * place[axis]
                inside.append(height >= 0 and across <= 1 - height)
        found.append(inside)
    return np.array(found)


def octant_statistics_by_loops(points, share, center, whitening):
    neighbors = max(1, round(share * len(points)))
    local = (octant_means(points[None], neighbors)[0].numpy() - center) @ whitening
    features = []
    for inside in regions_by_loops(points).T:
        rows = local[inside]
        if len(rows) == 0:
            features.append(np.zeros((7, 24)))
            continue
        features.append(
            [
                rows.mean(axis=0),
                rows.max(axis=0),
                rows.min(axis=0),
                rows.var(axis=0),
                rows.std(axis=0),
                np.abs(rows).mean(axis=0),
                np.sqrt((rows**2).mean(axis=0)),
            ]
        )
    values = np.array(features)
    return np.sign(values) * np.sqrt(np.abs(values))


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("name", CLOUDS)
def test_octant_statistics_are_those_of_loops(name, fitted):
    points = CLOUDS[name]
    statistics = OctantStatistics(share=0.1).double()
    if fitted:
        statistics.fit(torch.stack([cloud(60, seed) for seed in range(4)]))
    found = statistics(points[None])[0]
    expected = octant_statistics_by_loops(
        points, 0.1, statistics.center.numpy(), statistics.whitening.numpy()
    )
    assert found.shape == (statistics.out_features,) == (1680,)
    np.testing.assert_allclose(found.numpy().reshape(10, 7, 24), expected, atol=1e-6)


def test_the_whitened_octant_means_are_centred_uncorrelated_and_of_one_spread():
    clouds = torch.stack([cloud(60, seed) for seed in range(70)])
    statistics = OctantStatistics(share=0.1).double()
    statistics.fit(clouds)
    local = octant_means(clouds, 6).flatten(end_dim=1)
    whitened = (local - statistics.center) @ statistics.whitening
    np.testing.assert_allclose(whitened.mean(dim=0), 0, atol=1e-9)
    np.testing.assert_allclose(whitened.t() @ whitened / len(whitened), np.eye(24), atol=1e-3)


def test_flat_clouds_leave_directions_without_spread_small():
    clouds = torch.stack([cloud(60, seed) for seed in range(4)])
    flat = clouds * torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    statistics = OctantStatistics(share=0.1).double()
    statistics.fit(flat)
    assert statistics(flat).isfinite().all()
    assert statistics(flat).abs().max() < 10


@pytest.mark.parametrize("name", CLOUDS)
def test_a_basis_point_set_measures_the_distance_to_the_nearest_point(name):
    points = CLOUDS[name]
    described = BasisPointSet(basis=50).double()
    expected = [
        min(math.dist(place, point) for point in points.tolist())
        for place in described.basis.tolist()
    ]
    np.testing.assert_allclose(described(points[None])[0], expected, rtol=1e-6, atol=1e-7)


def test_the_basis_fills_the_unit_ball_and_is_fixed_by_its_seed():
    basis = BasisPointSet(basis=4000, seed=3).basis
    radii = basis.norm(dim=1)
    assert radii.max() <= 1 + 1e-6
    # Uniform in the ball: the cube of the radius is uniform in [0, 1].
    np.testing.assert_allclose(
        np.quantile(radii**3, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.03
    )
    np.testing.assert_allclose(basis.mean(dim=0), 0, atol=0.03)
    assert torch.equal(basis, BasisPointSet(basis=4000, seed=3).basis)
    assert not torch.equal(basis, BasisPointSet(basis=4000, seed=4).basis)


@pytest.mark.parametrize("make", [OctantStatistics, BasisPointSet])
def test_neither_the_order_of_points_nor_the_rest_of_the_batch_matters(make):
    described, points = make().double(), torch.stack([cloud(50, seed=1), cloud(50, seed=2)])
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    expected = described(points)
    torch.testing.assert_close(described(points[:, order]), expected, rtol=0, atol=1e-7)
    torch.testing.assert_close(described(points[:1]), expected[:1], rtol=0, atol=1e-7)


@pytest.mark.parametrize("make", [OctantStatistics, BasisPointSet])
@pytest.mark.parametrize("shape", [(5, 3), (1, 5, 2), (1, 0, 3)])
def test_another_shape_is_refused(make, shape):
    with pytest.raises(ValueError, match="clouds"):
        make()(torch.zeros(shape))


@pytest.mark.parametrize("share", [0.0, -1.0, 1.1])
def test_a_share_of_neighbours_is_refused_outside_its_range(share):
    with pytest.raises(ValueError, match="share of neighbours"):
        OctantStatistics(share=share)
