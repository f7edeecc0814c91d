"""Overlapping regions of the unit ball: where a point of a cloud lies, roughly."""

import math

import torch
from torch import Tensor

_COSINE = math.cos(math.radians(75.0))
"""A double cone of 150 degrees reaches 75 degrees to either side of its axis."""


def regions_of(points: Tensor) -> list[Tensor]:
    """Return the ten regions of S3I-PointHop, each as the points (B, N) of ``points`` inside it.

    They are the whole; for each axis the double cone of 150 degrees about it; and for each axis and
    sign the cone with its tip at distance 1 on the axis, whose base lies in the plane through the
    origin and has radius 1.
    """
    radii = points.norm(dim=2)
    regions = [torch.ones_like(radii, dtype=torch.bool)]
    regions += [points[..., axis].abs() >= _COSINE * radii for axis in range(3)]
    for axis in range(3):
        along = points[..., axis]
        across = (radii.square() - along.square()).clamp(min=0).sqrt()
        regions += [(sign * along >= 0) & (across <= 1 - sign * along) for sign in (1, -1)]
    return regions
