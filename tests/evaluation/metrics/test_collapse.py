import pytest
import torch

from helpers.toy_models import clouds
from pc_crvae.evaluation.metrics.collapse import gain_over_fixed, mean_shape
from pc_crvae.geometry import chamfer_distance


def test_perfect_reconstructions_gain_all_and_one_cloud_for_all_gains_nothing():
    shapes = clouds(6, points=40)
    one = clouds(1, points=30, seed=1)
    assert gain_over_fixed(shapes, shapes, one) == pytest.approx(1, abs=1e-6)
    assert gain_over_fixed(one.expand(6, -1, -1), shapes, one) == pytest.approx(0, abs=1e-6)


def test_the_gain_is_over_the_best_of_the_fixed_clouds():
    shapes = clouds(6, points=40)
    fixed = torch.cat([clouds(1, points=30, seed=1), 5 * clouds(1, points=30, seed=2)])
    own = shapes + 0.1
    expected = []
    for cloud in fixed:
        of_all = torch.stack([chamfer_distance(cloud[None], one[None])[0] for one in shapes])
        expected.append(1 - float(chamfer_distance(own, shapes).mean() / of_all.mean()))
    assert gain_over_fixed(own, shapes, fixed) == pytest.approx(min(expected), abs=1e-5)
    assert expected[0] < expected[1]


def test_what_is_worse_than_a_fixed_cloud_has_a_negative_gain():
    shapes = clouds(6, points=40)
    line = torch.linspace(-1, 1, 30)[None, :, None] * torch.tensor([1.0, 0, 0])
    assert gain_over_fixed(line.expand(6, -1, -1), shapes, mean_shape(shapes, 30)[None]) < -0.2


def test_the_mean_shape_has_as_many_points_of_every_shape():
    shapes = torch.arange(4.0)[:, None, None].expand(4, 10, 3)
    found = mean_shape(shapes, 20)
    assert found.shape == (20, 3)
    assert torch.bincount(found[:, 0].long()).tolist() == [5, 5, 5, 5]
