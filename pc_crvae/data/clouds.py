"""Clouds: one split of a data set, upright, centred and of unit radius."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.items import ItemSet, PickedRows, read_only
from pc_crvae.data.lengths import lengths
from pc_crvae.errors import UserError
from pc_crvae.utils.up_axes import Axis

_CLOUDS_AT_ONCE = 512
_POINTS_AT_ONCE = 1 << 16


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class CloudSet(ItemSet):
    """One split of clouds.

    Attributes:
        points: (n, P, 3) float32, z up, each cloud with mean 0 and largest radius 1; those of
            a :meth:`subset` are rows picked from the whole.
        normals: (n, P, 3) float32, of unit length, z up as the points that they lie at; None
            where they were not asked for. They are no part of the :meth:`fingerprint`.

    Raises:
        ValueError: an array has the wrong shape or type, or two ids are equal.
    """

    holds = "points"
    companions = ("normals",)
    points: NDArray[np.float32] | PickedRows[np.float32]
    normals: NDArray[np.float32] | PickedRows[np.float32] | None = None

    def __post_init__(self) -> None:
        _check_clouds(self.points)
        if self.points.dtype != np.float32:
            raise ValueError(f"points should be float32, not {self.points.dtype}")
        if self.normals is not None:
            if self.normals.shape != self.points.shape or self.normals.dtype != np.float32:
                raise ValueError("normals should be float32, one per point")
            if isinstance(self.normals, np.ndarray):
                object.__setattr__(self, "normals", read_only(self.normals))
        super().__post_init__()

    def item(self, row: int) -> dict[str, Any]:
        """Return one cloud: ``points`` and, where the set has them, ``normals``, (P, 3) float32.

        With its ``id`` and, where labelled, its ``label``.
        """
        arrays = {name: getattr(self, name) for name in (self.holds, *self.companions)}
        own = {name: np.array(array[row]) for name, array in arrays.items() if array is not None}
        return own | super().item(row)

    def batch(
        self, indices: Sequence[int] | NDArray[np.int64], count: int, *key: int | str
    ) -> NDArray[np.float32]:
        """Return ``count`` points of each cloud at ``indices``: (b, count, 3) float32.

        They are chosen without replacement, and by ``key`` and the cloud's own index alone:
        whoever asks for a cloud, in whatever batch, gets the same points.

        Args:
            indices: (b,) clouds of this set.
            count: points a cloud.
            key: the values that fix the choice, for example ``("points", seed, epoch)``.

        Raises:
            UserError: the clouds have fewer than ``count`` points.
        """
        # Imported here because it brings torch, which takes seconds that `--help` must not.
        from pc_crvae.randomness.keys import keyed_numpy_generator

        available = self.points.shape[1]
        if count > available:
            raise UserError(
                f"{self.name} has {available} points a cloud, fewer than the {count} asked for: "
                "lower data.points"
            )
        batch = np.empty((len(indices), count, 3), dtype=np.float32)
        for row, index in enumerate(indices):
            generator = keyed_numpy_generator(*key, int(index))
            chosen = generator.choice(available, count, replace=False)
            # Clipping changes no index here, and without it `take` would copy through a buffer.
            self.points[index].take(chosen, axis=0, out=batch[row], mode="clip")
        return batch


def extents(points: NDArray[Any]) -> NDArray[np.float64]:
    """Return the longest side of each cloud's bounding box: (n, P, 3) to (n,), 0 if collapsed."""
    columns = [points[..., k] for k in range(3)]  # many times as fast as all at once
    sides = [column.max(axis=1).astype(np.float64) - column.min(axis=1) for column in columns]
    longest: NDArray[np.float64] = np.max(sides, axis=0)
    return longest


def normalize(points: NDArray[Any]) -> NDArray[np.float32]:
    """Move each cloud's mean to 0 and scale its largest radius to 1, in float64 inside.

    Args:
        points: (n, P, 3), any real type.

    Returns:
        (n, P, 3) float32.

    Raises:
        ValueError: the shape is wrong, or a cloud has no extent or is not finite.
    """
    _check_clouds(points)
    normalized = np.empty(points.shape, dtype=np.float32)
    for start in range(0, len(points), _CLOUDS_AT_ONCE):  # bounds the float64 copies
        part = slice(start, start + _CLOUDS_AT_ONCE)
        size = extents(points[part])[:, None, None]
        if not np.all((size > 0) & np.isfinite(size)):
            raise ValueError("a cloud without extent or with a non-finite point has no scale")
        # Divided by its size first, so that squares of tiny or huge clouds stay in range.
        cloud = points[part].astype(np.float64) / size
        cloud -= cloud.mean(axis=1, keepdims=True)
        radius = np.sqrt(np.square(cloud).sum(axis=2).max(axis=1))
        normalized[part] = cloud / radius[:, None, None]
    return normalized


def normalized_rows(points: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return some rows of what :func:`normalize` makes of a cloud, and hold no more of it.

    Args:
        points: (P, 3), any real type.
        rows: (k,) of them.

    Returns:
        (k, 3) float32, to the last digit those of the whole.

    Raises:
        ValueError: as :func:`normalize`.
    """
    _check_clouds(points[None])
    size = extents(points[None])[0]
    if not 0 < size < np.inf:
        raise ValueError("a cloud without extent or with a non-finite point has no scale")
    starts = range(0, len(points), _POINTS_AT_ONCE)
    parts = [slice(start, start + _POINTS_AT_ONCE) for start in starts]
    total = np.empty((0, 3))
    for part in parts:
        # One after another, as NumPy adds up along an axis that is not the last.
        scaled = points[part].astype(np.float64) / size
        total = np.concatenate([total, scaled]).sum(axis=0, keepdims=True)
    mean = total[0] / len(points)
    largest = max(lengths(points[part].astype(np.float64) / size - mean).max() for part in parts)
    chosen = points[rows].astype(np.float64) / size - mean
    normalized: NDArray[np.float32] = (chosen / largest).astype(np.float32)
    return normalized


def turn_z_up(points: NDArray[Any], up: Axis) -> NDArray[Any]:
    """Turn clouds (..., 3) whose ``up`` axis points up so that z does, by a proper rotation.

    A quarter turn about x takes y to z; a quarter turn about y takes x to z.
    """
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    match up:
        case "x":
            return np.stack([np.negative(z), y, x], axis=-1)
        case "y":
            return np.stack([x, np.negative(z), y], axis=-1)
        case "z":
            return points
    raise ValueError(f"up should be x, y or z, not {up!r}")


def _check_clouds(points: NDArray[Any] | PickedRows[np.float32]) -> None:
    if len(points.shape) != 3 or points.shape[2] != 3 or points.shape[1] == 0:
        raise ValueError(f"clouds should be (n, P, 3) with P > 0, not {points.shape}")
