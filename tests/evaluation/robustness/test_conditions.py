import numpy as np
import pytest

from pc_crvae.data.clouds import CloudSet, normalize
from pc_crvae.errors import UserError
from pc_crvae.evaluation.robustness.conditions import (
    PARTS,
    Condition,
    apply_condition,
    check_points,
    conditions_of,
)
from pc_crvae.evaluation.robustness.corruptions import corrupt

POINTS = normalize(np.random.default_rng(0).normal(size=(5, 600, 3)))
SHAPES = CloudSet(
    name="toy",
    split="test",
    points=POINTS,
    labels=None,
    classes=(),
    ids=tuple("abcde"),
)


def under(part, name, level=0, seed=0):
    return apply_condition(Condition(part, name, level), POINTS, SHAPES, seed)


def rows_of(cloud):
    return {tuple(point) for point in np.asarray(cloud).tolist()}


def test_the_shapes_as_they_are_come_first_and_only_parts_asked_for_follow():
    everything = conditions_of(PARTS, (0, 30), (64, 32))
    assert everything[0] == Condition("rotation", "aligned", 0)
    assert len(everything) == len(set(everything)) == 1 + 2 + 35 + 4 + 2
    assert [condition.level for condition in everything if condition.part == "points"] == [32, 64]
    assert {condition.part for condition in conditions_of(["points"], (0,), (64,))[1:]} == {
        "points"
    }
    assert under("rotation", "aligned") is POINTS


def test_a_turn_about_the_vertical_keeps_heights_and_any_turn_keeps_lengths():
    about_z, any_turn = under("rotation", "z"), under("rotation", "so3")
    np.testing.assert_allclose(about_z[..., 2], POINTS[..., 2], atol=1e-6)
    assert (np.abs(any_turn[..., 2] - POINTS[..., 2]).max(axis=1) > 0.05).all()
    for turned in (about_z, any_turn):
        lengths = np.linalg.norm(turned, axis=2)
        np.testing.assert_allclose(lengths, np.linalg.norm(POINTS, axis=2), atol=1e-6)
        assert (np.abs(turned - POINTS).max(axis=(1, 2)) > 0.05).all()


def test_corruptions_are_those_of_their_module():
    expected = corrupt(POINTS, "jitter", 4, "robustness", 7)
    np.testing.assert_array_equal(under("corruption", "jitter", 4, 7), expected)


def test_an_occluded_shape_is_part_of_the_shape_in_place_or_normalised():
    in_place, normalized = (under("occlusion", name, 30) for name in ("in_place", "normalized"))
    for whole, part, scaled in zip(POINTS, in_place, normalized, strict=True):
        assert rows_of(part) < rows_of(whole)
        assert len(part) == len(scaled) > 50
        np.testing.assert_array_equal(normalize(part[None])[0], scaled)


def test_cameras_differ_from_shape_to_shape_and_look_from_their_elevation():
    ball = normalize(np.random.default_rng(1).normal(size=(1, 600, 3)))
    ball /= np.linalg.norm(ball, axis=2, keepdims=True)
    same = np.repeat(ball, 5, axis=0)
    seen = apply_condition(Condition("occlusion", "in_place", 60), same, SHAPES, 0)
    means = np.array([part.mean(axis=0) for part in seen])
    elevations = np.degrees(np.arcsin(means[:, 2] / np.linalg.norm(means, axis=1)))
    np.testing.assert_allclose(elevations, 60, atol=6)
    assert np.ptp(np.degrees(np.arctan2(means[:, 1], means[:, 0]))) > 20


def test_fewer_points_are_points_of_the_shape():
    fewer = under("points", "count", 64)
    assert fewer.shape == (5, 64, 3)
    for whole, part in zip(POINTS, fewer, strict=True):
        assert rows_of(part) < rows_of(whole)


@pytest.mark.parametrize(
    ("part", "name", "level"),
    [
        ("rotation", "z", 0),
        ("rotation", "so3", 0),
        ("corruption", "add_local", 1),
        ("occlusion", "in_place", 0),
        ("points", "count", 64),
    ],
)
def test_a_seed_fixes_what_is_drawn(part, name, level):
    first, again, other = (under(part, name, level, seed) for seed in (3, 3, 4))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert any(
        one.shape != two.shape or (one != two).any() for one, two in zip(first, other, strict=True)
    )


def test_what_too_few_points_cannot_bear_is_refused():
    conditions = conditions_of(PARTS, (0,), (64, 1024))
    check_points(conditions, 501, 1024)
    with pytest.raises(UserError, match="leave the corruptions out"):
        check_points(conditions, 500, 1024)
    with pytest.raises(UserError, match=r"1,024 of the part points"):
        check_points(conditions, 501, 1023)
    check_points(conditions_of(["occlusion"], (0,), (64,)), 100, 100)
