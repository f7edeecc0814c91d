import importlib.util
import math

import numpy as np
import pytest
import torch

from pc_crvae.config.images import AffineConfig, ColorJitterConfig, FlipConfig, PublishedConfig
from pc_crvae.errors import UserError
from pc_crvae.models.images.build import build_image_transform
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.transforms.images import (
    Affine,
    ColorJitter,
    ComposeImages,
    Flip,
    ImageTransform,
    RoundToLevels,
    published,
)

REPRS = {
    "Affine(max_degrees=15.0, max_translation=0.05, min_scale=0.9, max_scale=1.1, "
    "padding='zeros')": Affine(),
    "Flip(axis='vertical', probability=0.5)": Flip(),
    "Flip(axis='horizontal', probability=1.0)": Flip("horizontal", 1.0),
    "ColorJitter(brightness=0.2, contrast=0.5, hue=0.2)": ColorJitter(),
    "RoundToLevels()": RoundToLevels(),
    "ComposeImages(transforms=[Flip(axis='vertical', probability=0.5)])": ComposeImages([Flip()]),
}
EVERY = [
    *REPRS.values(),
    Affine(180, 0.5, 0.5, 2.0, "border"),
    Affine(padding="reflection"),
    published("large", flip=True, color=True),
]
AT_ZERO_STRENGTH = [
    Affine(0, 0, 1, 1),
    Flip(probability=0),
    ColorJitter(0, 0, 0),
    ComposeImages([]),
    ComposeImages([Affine(0, 0, 1, 1), Flip("horizontal", 0)]),
]
OUT_OF_BOUNDS = [
    (Affine, {"max_degrees": -1}),
    (Affine, {"max_degrees": 181}),
    (Affine, {"max_degrees": math.nan}),
    (Affine, {"max_translation": 1.1}),
    (Affine, {"max_translation": -0.1}),
    (Affine, {"min_scale": 0}),
    (Affine, {"min_scale": 1.2, "max_scale": 1.1}),
    (Affine, {"padding": "wrap"}),
    (Flip, {"axis": "diagonal"}),
    (Flip, {"probability": 1.1}),
    (ColorJitter, {"brightness": 1.1}),
    (ColorJitter, {"contrast": -0.1}),
    (ColorJitter, {"hue": 0.6}),
]


def images(batch=8, channels=3, height=12, width=10, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, channels, height, width, generator=generator).to(dtype)


def draws(batch=8, rows=None, seed=0):
    return Draws(keyed_generator("transform", seed), batch, rows)


def blob(batch, size=41, y=20, x=20, spread=2.0):
    """Images of one soft spot at (y, x)."""
    grid = torch.arange(size, dtype=torch.float64)
    spot = torch.exp(-((grid[:, None] - y) ** 2 + (grid[None] - x) ** 2) / (2 * spread**2))
    return spot.expand(batch, 1, size, size)


def centre(images):
    """Where the mass of each image lies: (B, 2) as (x, y)."""
    mass = images[:, 0] / images[:, 0].sum(dim=(1, 2), keepdim=True)
    grid = torch.arange(images.shape[-1], dtype=images.dtype)
    return torch.stack([mass.sum(1) @ grid, mass.sum(2) @ grid], dim=1)


def test_values_are_rounded_to_the_nearest_of_256_levels():
    rounded = RoundToLevels()(images(), draws())
    levels = torch.arange(256, dtype=torch.uint8).numpy() / np.float32(255)
    assert np.isin(rounded.numpy(), levels).all()  # to the bit those that images are read as
    assert ((rounded - images()).abs() <= 0.5 / 255 + 1e-7).all()
    assert (rounded - images()).abs().max() > 0.49 / 255
    assert torch.equal(RoundToLevels()(rounded, draws()), rounded)


@pytest.mark.parametrize("text", REPRS)
def test_the_repr_is_the_expression_that_makes_the_transform(text):
    assert repr(REPRS[text]) == text
    assert eval(text) == REPRS[text]


@pytest.mark.parametrize("transform", AT_ZERO_STRENGTH, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_zero_strength_is_the_identity_to_the_bit(transform, dtype):
    x = images(dtype=dtype)
    assert torch.equal(transform(x, draws()), x)


def test_a_strength_of_next_to_nothing_changes_next_to_nothing():
    x = images()
    for transform in (Affine(1e-6, 0, 1, 1), Affine(0, 1e-8, 1, 1), ColorJitter(1e-7, 1e-7, 1e-7)):
        torch.testing.assert_close(transform(x, draws()), x, atol=1e-4, rtol=0)


@pytest.mark.parametrize("transform", EVERY, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_other_strengths_change_the_images_and_keep_shape_type_range_and_input(transform, dtype):
    x = images(dtype=dtype)
    before = x.clone()
    result = transform(x, draws())
    assert isinstance(transform, ImageTransform)
    assert result.shape == x.shape
    assert result.dtype == dtype
    assert result.min() >= 0
    assert result.max() <= 1
    assert not torch.equal(result, x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("transform", EVERY, ids=repr)
def test_the_same_generator_state_gives_the_same_result_and_another_another(transform):
    first, again = transform(images(), draws()), transform(images(), draws())
    assert torch.equal(first, again)
    if transform not in (Flip("horizontal", 1.0), RoundToLevels()):
        assert not torch.equal(first, transform(images(), draws(seed=1)))


@pytest.mark.parametrize("transform", EVERY, ids=repr)
@pytest.mark.parametrize(
    "parts",
    [[slice(0, 4), slice(4, 8)], [slice(0, 8, 2), slice(1, 8, 2)], [[3, 0, 7], [1, 2, 4, 5, 6]]],
    ids=["halves", "interleaved", "lists"],
)
def test_parts_of_a_batch_give_what_the_whole_batch_gives(transform, parts):
    x = images()
    whole = transform(x, draws())
    for rows in parts:
        torch.testing.assert_close(transform(x[rows], draws(rows=rows)), whole[rows])


@pytest.mark.parametrize(
    ("weak", "strong"),
    [
        (Affine(0, 0, 1, 1), Affine()),
        (Flip(probability=0), Flip()),
        (ColorJitter(0, 0, 0), ColorJitter()),
    ],
)
def test_as_much_is_drawn_whatever_the_strength(weak, strong):
    first, second = draws(), draws()
    weak(images(), first)
    strong(images(), second)
    assert torch.equal(first.uniform(), second.uniform())


@pytest.mark.parametrize("transform", EVERY, ids=repr)
def test_autocast_changes_nothing(transform):
    expected = transform(images(), draws())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(transform(images(), draws()), expected)


@pytest.mark.parametrize("transform", EVERY, ids=repr)
def test_the_global_generators_are_left_alone(transform):
    state = torch.get_rng_state()
    transform(images(), draws())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_rotation_turns_about_the_centre_by_angles_within_the_bound():
    turned = Affine(30, 0, 1, 1)(blob(500, x=32), draws(500))
    offset = centre(turned) - 20
    torch.testing.assert_close(
        offset.norm(dim=1), torch.full((500,), 12.0, dtype=torch.float64), atol=0.1, rtol=0
    )
    angles = torch.rad2deg(torch.atan2(offset[:, 1], offset[:, 0]))
    assert angles.abs().max() <= 30.5
    assert angles.min() < -28
    assert angles.max() > 28
    assert abs(angles.mean()) < 3
    fixed = Affine(30, 0, 1, 1)(blob(5), draws(5))
    torch.testing.assert_close(fixed, blob(5), atol=0.05, rtol=0)


def test_a_translation_is_a_share_of_height_and_width_within_the_bound():
    offset = centre(Affine(0, 0.1, 1, 1)(blob(500), draws(500))) - 20
    assert offset.abs().max() <= 4.1
    for axis in range(2):
        assert offset[:, axis].min() < -3.7
        assert offset[:, axis].max() > 3.7
        assert abs(offset[:, axis].mean()) < 0.4
    assert abs(torch.corrcoef(offset.T)[0, 1]) < 0.2


def test_the_shares_of_a_translation_are_of_the_side_they_move_along():
    wide = torch.zeros(500, 1, 5, 41, dtype=torch.float64)
    wide[:, :, 2, 20] = 1
    moved = Affine(0, 0.2, 1, 1)(wide, draws(500))[:, 0]
    columns, rows = torch.arange(41.0).double(), torch.arange(5.0).double()
    mass = moved.sum(dim=(1, 2))
    x_offset = (moved.sum(1) @ columns) / mass - 20
    y_offset = (moved.sum(2) @ rows) / mass - 2
    assert 7.5 < x_offset.abs().max() <= 8.3
    assert 0.9 < y_offset.abs().max() <= 1.01


def test_a_scale_is_one_factor_for_both_axes_within_the_bounds():
    scaled = centre(Affine(0, 0, 0.5, 1.5)(blob(500, x=26, y=24), draws(500))) - 20
    factors = scaled / torch.tensor([6.0, 4.0])
    torch.testing.assert_close(factors[:, 0], factors[:, 1], atol=0.02, rtol=0)
    assert factors.min() >= 0.48
    assert factors.max() <= 1.52
    assert factors.min() < 0.55
    assert factors.max() > 1.45


def test_what_comes_in_from_outside_is_what_the_padding_says():
    x = torch.full((8, 1, 9, 9), 0.7)
    assert Affine(0, 0.5, 1, 1)(x, draws()).min() == 0
    for padding in ("border", "reflection"):
        torch.testing.assert_close(Affine(0, 0.5, 1, 1, padding)(x, draws()), x)


def test_a_flip_is_exact_and_comes_as_often_as_its_probability():
    x = images(2000)
    for axis, dimension in (("vertical", 2), ("horizontal", 3)):
        assert torch.equal(Flip(axis, 1.0)(x, draws(2000)), x.flip(dimension))
        flipped = Flip(axis, 0.3)(x, draws(2000))
        changed = (flipped != x).flatten(1).any(dim=1)
        assert torch.equal(flipped[changed], x.flip(dimension)[changed])
        assert abs(changed.float().mean() - 0.3) < 0.04


def test_brightness_multiplies_within_its_range():
    x = torch.full((2000, 3, 2, 2), 0.5)
    factors = ColorJitter(0.2, 0, 0)(x, draws(2000))[:, 0, 0, 0] / 0.5
    assert factors.min() >= 0.8 - 1e-6
    assert factors.max() <= 1.2 + 1e-6
    assert factors.min() < 0.81
    assert factors.max() > 1.19


def test_contrast_scales_about_the_mean_within_its_range():
    x = torch.full((2000, 1, 2, 2), 0.4)
    x[:, :, 0] = 0.6
    result = ColorJitter(0, 0.5, 0)(x, draws(2000))
    torch.testing.assert_close(result.mean(dim=(1, 2, 3)), torch.full((2000,), 0.5))
    factors = (result[:, 0, 0, 0] - 0.5) / 0.1
    assert factors.min() >= 0.5 - 1e-4
    assert factors.max() <= 1.5 + 1e-4
    assert factors.min() < 0.52
    assert factors.max() > 1.48


def test_hue_turns_the_colour_wheel_and_leaves_greys_alone():
    red = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1).expand(2000, 3, 2, 2)
    turned = ColorJitter(0, 0, 0.2)(red, draws(2000))[:, :, 0, 0]
    torch.testing.assert_close(turned.max(dim=1).values, torch.ones(2000))
    # Up to a sixth of a turn from red green or blue rises to 1; a fifth, and red falls to 0.8.
    assert turned[:, 0].min() == pytest.approx(0.8, abs=0.01)
    assert turned[:, 1].max() == pytest.approx(1.0)
    assert turned[:, 2].max() == pytest.approx(1.0)
    grey = torch.full((8, 3, 2, 2), 0.3)
    torch.testing.assert_close(ColorJitter(0, 0, 0.5)(grey, draws()), grey)


def test_a_grey_image_has_no_hue_to_turn():
    with pytest.raises(ValueError, match="images of 1 channels have no hue"):
        ColorJitter()(images(channels=1), draws())
    jittered = ColorJitter(hue=0)(images(channels=1), draws())
    assert jittered.shape == (8, 1, 12, 10)


def test_the_published_ranges():
    small = Affine(15, 0.05, 0.9, 1.1)
    large = Affine(30, 0.1, 0.75, 1.25)
    assert published() == ComposeImages([small])
    assert published("large") == ComposeImages([large])
    assert published(flip=True, color=True) == ComposeImages(
        [small, Flip("vertical", 0.5), ColorJitter(0.2, 0.5, 0.2)]
    )


def test_a_composition_applies_one_after_the_other_from_one_source():
    x, source = images(), draws()
    expected = Flip()(Affine()(x, source), source)
    assert torch.equal(ComposeImages([Affine(), Flip()])(x, draws()), expected)


@pytest.mark.parametrize(("transform", "arguments"), OUT_OF_BOUNDS)
def test_strengths_out_of_bounds_are_refused(transform, arguments):
    with pytest.raises(ValueError, match=r"is out of bounds"):
        transform(**arguments)


@pytest.mark.parametrize("shape", [(8, 12, 10), (8, 3, 0, 10), (8, 0, 12, 10)])
def test_what_is_no_batch_of_images_is_refused(shape):
    with pytest.raises(ValueError, match=r"must be \(B, C, H, W\)"):
        Affine()(torch.zeros(shape), draws())


@pytest.mark.parametrize("rows", [None, slice(0, 4), [1, 2]])
def test_draws_for_other_images_are_refused(rows):
    with pytest.raises(ValueError, match="images and draws for"):
        Affine()(images(7), draws(rows=rows))


@pytest.mark.parametrize("transform", [Affine, ColorJitter])
def test_without_kornia_the_extra_is_named_when_a_transform_is_made(monkeypatch, transform):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"need kornia: pip install 'pc-crvae\[images\]'"):
        transform()


def test_configurations_build_the_transforms_they_name():
    assert build_image_transform(
        [
            AffineConfig(name="affine", max_degrees=3.0, padding="border"),
            FlipConfig(name="flip", axis="horizontal"),
            ColorJitterConfig(name="color_jitter", hue=0.0),
            PublishedConfig(name="published", strength="large", flip=True, color=True),
        ]
    ) == ComposeImages(
        [
            Affine(3.0, padding="border"),
            Flip("horizontal"),
            ColorJitter(hue=0.0),
            published("large", flip=True, color=True),
        ]
    )
    defaults = build_image_transform(
        [
            AffineConfig(name="affine"),
            FlipConfig(name="flip"),
            ColorJitterConfig(name="color_jitter"),
        ]
    )
    assert defaults == ComposeImages([Affine(), Flip(), ColorJitter()])
