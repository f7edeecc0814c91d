"""Paths between latents."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

InterpolationKind = Literal["spherical", "linear"]


def interpolate_latents(
    start: Tensor, end: Tensor, steps: int, kind: InterpolationKind = "spherical"
) -> Tensor:
    """Latents along a path from ``start`` to ``end``.

    Args:
        start: (D,).
        end: (D,).
        steps: latents returned, both ends included; at least 2.
        kind: ``linear``, or ``spherical``: the direction moves along the great circle
            (Shoemake 1985) while the length changes linearly, so that a path between two
            typical draws of a Gaussian prior stays where the prior's mass is.

    Returns:
        (steps, D).

    Raises:
        ValueError: on differing shapes, fewer than 2 steps, another kind, or a spherical path
            between opposite directions, which no single great circle joins.
    """
    if start.ndim != 1 or start.shape != end.shape:
        raise ValueError(f"need two (D,) latents, not {tuple(start.shape)} and {tuple(end.shape)}")
    if kind not in ("spherical", "linear"):
        raise ValueError(f"unknown kind {kind!r}")
    if steps < 2:
        raise ValueError(f"a path needs at least 2 steps, not {steps}")
    t = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device)[:, None]
    straight = torch.lerp(start, end, t)
    if kind == "linear":
        return straight

    lengths = torch.stack([start.norm(), end.norm()])
    if (lengths == 0).any():
        return straight  # the origin has no direction: the path is a ray
    first, last = start / lengths[0], end / lengths[1]
    angle = 2 * torch.atan2((first - last).norm(), (first + last).norm())
    sine = torch.sin(angle)
    if angle < 1e-4:
        return straight
    if sine < 1e-4:
        raise ValueError("no single great circle joins opposite directions: use kind='linear'")
    directions = (torch.sin((1 - t) * angle) * first + torch.sin(t * angle) * last) / sine
    path = directions * torch.lerp(lengths[0], lengths[1], t)
    return torch.cat([start[None], path[1:-1], end[None]])  # the ends, free of rounding


def interpolate_groups(
    start: Sequence[Tensor],
    end: Sequence[Tensor],
    steps: int,
    kind: InterpolationKind = "spherical",
) -> tuple[Tensor, ...]:
    """`interpolate_latents` in every group of a hierarchical model's latents by itself.

    Args:
        start: (D_l,) of each group.
        end: likewise.
        steps: latents of each group that are returned, both ends included.
        kind: the kind of each group's path.

    Returns:
        (steps, D_l) of each group.

    Raises:
        ValueError: another number of groups, and as `interpolate_latents`.
    """
    return tuple(
        interpolate_latents(first, last, steps, kind)
        for first, last in zip(start, end, strict=True)
    )
