"""Paths between latents have the ends, the lengths and the directions they promise."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pc_crvae.latents.interpolation import interpolate_groups, interpolate_latents

KINDS = ["spherical", "linear"]
vectors = hnp.arrays("float64", 4, elements=st.floats(-10, 10)).map(torch.from_numpy)


def are_opposite(start, end):
    angle = 2 * torch.atan2(
        (start * end.norm() - end * start.norm()).norm(),
        (start * end.norm() + end * start.norm()).norm(),
    )
    return bool(angle > math.pi - 1e-3)


@pytest.mark.parametrize("kind", KINDS)
@given(start=vectors, end=vectors, steps=st.integers(2, 6))
@settings(deadline=None, max_examples=50)
def test_a_path_has_its_ends_exactly_and_its_lengths_in_between(kind, start, end, steps):
    assume(kind == "linear" or not are_opposite(start, end))
    path = interpolate_latents(start, end, steps, kind)
    assert path.shape == (steps, 4)
    assert path.dtype == start.dtype
    assert torch.equal(path[0], start)
    assert torch.equal(path[-1], end)
    assert path.isfinite().all()
    shares = torch.linspace(0, 1, steps, dtype=torch.float64)
    lengths = (1 - shares) * start.norm() + shares * end.norm()
    assert (path.norm(dim=1) <= lengths * (1 + 1e-6) + 1e-9).all()
    if kind == "spherical":
        torch.testing.assert_close(path.norm(dim=1), lengths, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@given(start=vectors, end=vectors)
@settings(deadline=None, max_examples=20)
def test_a_path_is_the_same_from_the_other_end(kind, start, end):
    assume(not are_opposite(start, end))
    forth = interpolate_latents(start, end, 5, kind)
    back = interpolate_latents(end, start, 5, kind)
    torch.testing.assert_close(forth, back.flip(0), rtol=1e-7, atol=1e-9)


def test_a_spherical_path_moves_along_the_great_circle_at_constant_speed():
    path = interpolate_latents(torch.tensor([1.0, 0, 0]), torch.tensor([0, 3.0, 0]), 4)
    lengths, angles = [1, 5 / 3, 7 / 3, 3], [0, math.pi / 6, math.pi / 3, math.pi / 2]
    expected = [
        [length * math.cos(angle), length * math.sin(angle), 0]
        for length, angle in zip(lengths, angles, strict=True)
    ]
    torch.testing.assert_close(path, torch.tensor(expected))


def test_a_linear_path_is_straight_and_even():
    path = interpolate_latents(torch.tensor([0.0, 2]), torch.tensor([4.0, 0]), 5, "linear")
    torch.testing.assert_close(path, torch.tensor([[0.0, 2], [1, 1.5], [2, 1], [3, 0.5], [4, 0]]))


def test_nearly_parallel_latents_are_joined_smoothly():
    start = torch.tensor([1.0, 0.0])
    for angle in (0.0, 1e-7, 1e-5, 1e-3):
        end = 2 * torch.tensor([math.cos(angle), math.sin(angle)])
        path = interpolate_latents(start, end, 3)
        middle = 1.5 * torch.tensor([math.cos(angle / 2), math.sin(angle / 2)])
        torch.testing.assert_close(path[1], middle, rtol=0, atol=5e-5)


def test_a_path_from_the_origin_is_a_ray():
    path = interpolate_latents(torch.zeros(2), torch.tensor([2.0, 4.0]), 3)
    assert torch.equal(path, torch.tensor([[0.0, 0], [1, 2], [2, 4]]))


def test_a_spherical_path_between_opposite_directions_is_refused():
    latent = torch.tensor([1.0, 2.0, -1.0])
    with pytest.raises(ValueError, match="opposite directions"):
        interpolate_latents(latent, -3 * latent, 5)
    assert torch.equal(interpolate_latents(latent, -latent, 3, "linear")[1], torch.zeros(3))


@pytest.mark.parametrize(
    ("start", "end", "steps", "kind", "problem"),
    [
        (torch.zeros(2), torch.zeros(3), 3, "linear", "two \\(D,\\) latents"),
        (torch.zeros(1, 2), torch.zeros(1, 2), 3, "linear", "two \\(D,\\) latents"),
        (torch.zeros(2), torch.ones(2), 1, "linear", "at least 2 steps"),
        (torch.zeros(2), torch.ones(2), 3, "cubic", "unknown kind 'cubic'"),
    ],
)
def test_a_wrong_argument_is_refused(start, end, steps, kind, problem):
    with pytest.raises(ValueError, match=problem):
        interpolate_latents(start, end, steps, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_groups_are_joined_each_by_itself(kind):
    generator = torch.Generator().manual_seed(0)
    start, end = ([torch.randn(n, generator=generator) for n in (2, 5)] for _ in range(2))
    found = interpolate_groups(start, end, 4, kind)
    assert len(found) == 2
    for group, first, last in zip(found, start, end, strict=True):
        assert torch.equal(group, interpolate_latents(first, last, 4, kind))
    with pytest.raises(ValueError, match="shorter"):
        interpolate_groups(start, end[:1], 4, kind)
