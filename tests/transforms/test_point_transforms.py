import math

import pytest
import torch

from pc_crvae.geometry import rotate
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.transforms import (
    Compose,
    DropLocalRegion,
    Jitter,
    RotateAboutRandomAxis,
    RotateSO3,
    RotateZ,
    ScaleAnisotropic,
    Subsample,
    Transform,
    Translate,
)

REPRS = {
    "RotateZ(max_degrees=180)": RotateZ(),
    "RotateAboutRandomAxis(max_degrees=15.5)": RotateAboutRandomAxis(15.5),
    "RotateSO3(probability=1.0)": RotateSO3(),
    "Jitter(sigma=0.01, clip=0.05)": Jitter(),
    "Subsample(min_fraction=0.5, max_fraction=1.0)": Subsample(),
    "DropLocalRegion(max_fraction=0.25)": DropLocalRegion(),
    "ScaleAnisotropic(low=0.8, high=1.25)": ScaleAnisotropic(0.8, 1.25),
    "Translate(max_offset=0.1)": Translate(0.1),
    "Compose(transforms=[RotateZ(max_degrees=90), Jitter(sigma=0.02, clip=0.04)])": Compose(
        [RotateZ(90), Jitter(0.02, 0.04)]
    ),
}
EVERY = [*REPRS.values(), RotateSO3(0.5)]
AT_ZERO_STRENGTH = [
    RotateZ(0),
    RotateAboutRandomAxis(0),
    RotateSO3(0),
    Jitter(sigma=0),
    Jitter(clip=0),
    Subsample(1.0, 1.0),
    DropLocalRegion(0),
    ScaleAnisotropic(1, 1),
    Translate(0),
    Compose([]),
    Compose([RotateZ(0), Subsample(1.0, 1.0)]),
]
OUT_OF_BOUNDS = [
    (RotateZ, (-1,)),
    (RotateZ, (181,)),
    (RotateAboutRandomAxis, (181,)),
    (RotateAboutRandomAxis, (math.nan,)),
    (RotateSO3, (1.1,)),
    (RotateSO3, (-0.1,)),
    (Jitter, (-0.1,)),
    (Jitter, (0.1, -0.1)),
    (Subsample, (0.0,)),
    (Subsample, (0.9, 0.5)),
    (Subsample, (0.5, 1.1)),
    (DropLocalRegion, (1.0,)),
    (DropLocalRegion, (-0.1,)),
    (ScaleAnisotropic, (0, 1)),
    (ScaleAnisotropic, (2, 1)),
    (Translate, (-0.1,)),
]


def clouds(batch=8, n=50, dtype=torch.float32):
    return torch.randn(batch, n, 3, generator=torch.Generator().manual_seed(0)).to(dtype)


def draws(batch=8, rows=None, seed=0):
    return Draws(keyed_generator("transform", seed), batch, rows)


def is_proper_rotation(points, turned):
    """Whether turned = R points with R proper, for one cloud of at least three points."""
    r = torch.linalg.lstsq(points.double(), turned.double()).solution.T
    fits = torch.allclose(rotate(points[None].double(), r[None])[0], turned.double(), atol=1e-5)
    orthogonal = torch.allclose(r @ r.T, torch.eye(3, dtype=torch.float64), atol=1e-5)
    return fits and orthogonal and torch.linalg.det(r).item() > 0


def contains_rows(cloud, subset):
    """The positions in ``cloud`` of the rows of ``subset``, each of which must be there."""
    equal = (subset[:, None] == cloud[None]).all(dim=2)
    assert equal.sum(dim=1).eq(1).all()
    return equal.int().argmax(dim=1)


@pytest.mark.parametrize("text", REPRS)
def test_the_repr_is_the_expression_that_makes_the_transform(text):
    assert repr(REPRS[text]) == text
    assert eval(text) == REPRS[text]


@pytest.mark.parametrize("transform", AT_ZERO_STRENGTH, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_zero_strength_is_the_identity_to_the_bit(transform, dtype):
    points = clouds(dtype=dtype)
    assert torch.equal(transform(points, draws()), points)


@pytest.mark.parametrize("transform", EVERY, ids=repr)
def test_other_strengths_change_the_clouds_and_keep_dtype_and_input(transform):
    for dtype in (torch.float32, torch.float64):
        points = clouds(dtype=dtype)
        before = points.clone()
        result = transform(points, draws())
        assert isinstance(transform, Transform)
        assert result.dtype == dtype
        assert result.shape != points.shape or not torch.equal(result, points)
        assert torch.equal(points, before)


@pytest.mark.parametrize("transform", EVERY, ids=repr)
def test_the_same_generator_state_gives_the_same_result_and_another_another(transform):
    first, again = transform(clouds(), draws()), transform(clouds(), draws())
    other = transform(clouds(), draws(seed=1))
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)


@pytest.mark.parametrize("transform", EVERY, ids=repr)
@pytest.mark.parametrize(
    "parts",
    [
        [slice(0, 4), slice(4, 8)],
        [slice(0, 1), slice(1, 8)],
        [slice(0, 8, 2), slice(1, 8, 2)],
        [[3, 0, 7], [1, 2, 4, 5, 6]],
    ],
    ids=["halves", "one and seven", "interleaved", "lists"],
)
def test_parts_of_a_batch_give_what_the_whole_batch_gives(transform, parts):
    points = clouds()
    whole = transform(points, draws())
    for rows in parts:
        assert torch.equal(transform(points[rows], draws(rows=rows)), whole[rows])


@pytest.mark.parametrize("transform", EVERY, ids=repr)
def test_the_global_generator_is_left_alone(transform):
    state = torch.get_rng_state()
    transform(clouds(), draws())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("transform", [RotateZ(), RotateAboutRandomAxis(180), RotateSO3()])
def test_rotations_turn_each_cloud_by_a_proper_rotation_of_its_own(transform):
    points = clouds(1).expand(8, -1, -1)
    turned = transform(points, draws())
    assert all(is_proper_rotation(points[b], turned[b]) for b in range(8))
    assert len({tuple(cloud[0].tolist()) for cloud in turned}) == 8


def test_a_turn_about_z_keeps_heights_and_bounds_its_angle():
    points = torch.tensor([1.0, 0.0, 0.7]).expand(2000, 1, 3)
    turned = RotateZ(30)(points, draws(2000))
    assert torch.equal(turned[..., 2], points[..., 2])
    degrees = torch.rad2deg(torch.atan2(turned[..., 1], turned[..., 0]))
    assert degrees.min() >= -30.001
    assert degrees.max() <= 30.001
    assert degrees.min() < -29
    assert degrees.max() > 29
    assert degrees.mean().abs() < 2


def test_a_turn_about_a_random_axis_bounds_its_angle_and_leaves_no_axis_out():
    basis = torch.eye(3, dtype=torch.float64).expand(4000, 3, 3)
    turned = RotateAboutRandomAxis(40)(basis, draws(4000))  # rows are the images of the axes
    traces = turned.diagonal(dim1=1, dim2=2).sum(1)
    degrees = torch.rad2deg(torch.acos(((traces - 1) / 2).clamp(-1, 1)))
    assert degrees.max() <= 40.001
    assert degrees.max() > 39
    skew = (turned - turned.transpose(1, 2)) / 2
    axes = torch.stack([skew[:, 1, 2], skew[:, 2, 0], skew[:, 0, 1]], dim=1)
    axes = axes / axes.norm(dim=1, keepdim=True)
    second_moment = axes.T @ axes / 4000
    torch.testing.assert_close(second_moment, torch.eye(3).double() / 3, rtol=0, atol=0.03)


def test_the_mean_rotation_over_so3_is_zero_and_its_trace_has_unit_variance():
    basis = torch.eye(3).expand(20_000, 3, 3)
    turned = RotateSO3()(basis, draws(20_000))
    assert turned.mean(dim=0).abs().max() < 0.02  # standard deviation 0.58 / sqrt(20000)
    trace = turned.diagonal(dim1=1, dim2=2).sum(1)
    assert trace.var().item() == pytest.approx(1.0, abs=0.05)  # Haar: E[trace^2] = 1


def test_so3_turns_the_given_share_of_clouds_and_leaves_the_others_untouched():
    points = clouds(1).expand(2000, -1, -1)
    turned = RotateSO3(0.3)(points, draws(2000))
    changed = (turned != points).flatten(1).any(dim=1)
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.05)


def test_jitter_has_its_deviation_and_stays_within_its_clip():
    points = torch.zeros(8, 2000, 3)
    noise = Jitter(sigma=0.01, clip=1.0)(points, draws())
    assert noise.std().item() == pytest.approx(0.01, rel=0.05)
    clipped = Jitter(sigma=0.01, clip=0.005)(points, draws())
    assert torch.equal(clipped, noise.clamp(-0.005, 0.005))


def test_subsampling_keeps_points_of_each_cloud_in_order_with_one_count_a_batch():
    points = clouds()
    counts = set()
    for seed in range(40):
        kept = Subsample(0.4, 0.8)(points, draws(seed=seed))
        counts.add(kept.shape[1])
        positions = [contains_rows(points[b], kept[b]) for b in range(8)]
        assert all((row.diff() > 0).all() for row in positions)
        assert len({tuple(row.tolist()) for row in positions}) > 1
    assert min(counts) >= 20
    assert max(counts) <= 40
    assert len(counts) > 10


def test_subsampling_keeps_every_point_equally_often():
    points = clouds(4000, 20)
    kept = Subsample(0.5, 0.5)(points, draws(4000))
    assert kept.shape[1] == 10
    share = (points[:, :, None] == kept[:, None]).all(dim=3).any(dim=2).float().mean(dim=0)
    torch.testing.assert_close(share, torch.full((20,), 0.5), rtol=0, atol=0.04)


def test_subsampling_leaves_at_least_one_point():
    assert Subsample(0.01, 0.01)(clouds(n=3), draws()).shape == (8, 1, 3)


def test_a_dropped_region_is_the_neighborhood_of_a_point_of_the_cloud():
    points = clouds()
    counts = set()
    for seed in range(40):
        kept = DropLocalRegion(0.3)(points, draws(seed=seed))
        counts.add(50 - kept.shape[1])
        for cloud, rest in zip(points, kept, strict=True):
            positions = contains_rows(cloud, rest)
            assert (positions.diff() > 0).all()
            gone = torch.ones(50, dtype=torch.bool)
            gone[positions] = False
            if not gone.any():
                continue
            to_all = (cloud[gone][:, None] - cloud[None]).norm(dim=2)  # from each dropped point
            is_center = to_all[:, gone].amax(dim=1) <= to_all[:, ~gone].amin(dim=1)
            assert is_center.any()
    assert min(counts) >= 0
    assert max(counts) < 15
    assert len(counts) > 8


def test_dropping_a_region_leaves_at_least_one_point():
    points = clouds(n=2)
    assert all(DropLocalRegion(0.99)(points, draws(seed=s)).shape[1] >= 1 for s in range(50))


def test_each_axis_is_scaled_by_its_own_factor_within_bounds():
    points = torch.ones(2000, 2, 3)
    scaled = ScaleAnisotropic(0.5, 2.0)(points, draws(2000))
    assert torch.equal(scaled[:, 0], scaled[:, 1])
    factors = scaled[:, 0]
    assert factors.min() >= 0.5
    assert factors.max() <= 2.0
    assert (factors.amin(dim=0) < 0.52).all()
    assert (factors.amax(dim=0) > 1.98).all()
    assert torch.corrcoef(factors.T).triu(1).abs().max() < 0.1


def test_a_cloud_is_moved_as_one_within_bounds():
    points = clouds(2000, 3)
    offsets = Translate(0.2)(points, draws(2000)) - points
    torch.testing.assert_close(offsets, offsets[:, :1].expand_as(offsets), rtol=0, atol=1e-6)
    assert offsets.abs().max() <= 0.2 + 1e-6
    assert (offsets.amin(dim=(0, 1)) < -0.19).all()
    assert (offsets.amax(dim=(0, 1)) > 0.19).all()
    assert torch.corrcoef(offsets[:, 0].T).triu(1).abs().max() < 0.1


def test_composition_is_one_transform_after_another_on_the_same_draws():
    first, second = RotateZ(), Subsample()
    shared = draws()
    expected = second(first(clouds(), shared), shared)
    assert torch.equal(Compose([first, second])(clouds(), draws()), expected)


@pytest.mark.parametrize(("transform", "arguments"), OUT_OF_BOUNDS)
def test_a_strength_out_of_bounds_is_refused(transform, arguments):
    with pytest.raises(ValueError, match="out of bounds"):
        transform(*arguments)


@pytest.mark.parametrize("shape", [(50, 3), (8, 50, 2), (8, 0, 3), (7, 50, 3)])
def test_clouds_of_another_shape_or_number_are_refused(shape):
    with pytest.raises(ValueError, match=r"must be \(B, N, 3\)|draws for 8"):
        Jitter()(torch.zeros(shape), draws())
