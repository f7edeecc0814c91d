"""Clouds: one split of a data set, upright, centred and of unit radius."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.cards import Axis
from pc_crvae.errors import UserError

_CLOUDS_AT_ONCE = 512
_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, eq=False)
class RawClouds:
    """One split as its reader found it, in the source's own frame and scale.

    Attributes:
        points: (n, P, 3), any real type; every cloud finite and of some extent.
        labels: (n,) int64, indices into ``classes``; None where unlabelled.
        classes: the class names.
        ids: (n,) names, unique within the split.
    """

    points: NDArray[Any]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    ids: tuple[str, ...]


class CloudRows:
    """Some clouds of an array, left where they lie: nothing is copied before it is asked for.

    Indexed along its first axis it gives what an array of these clouds would give; where the
    whole array is wanted, ``np.asarray`` makes it.

    Args:
        clouds: (m, P, 3) float32, for example mapped from a file.
        rows: (n,) indices into ``clouds``.
    """

    def __init__(self, clouds: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        self._clouds = clouds
        self._rows = rows

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, P, 3)."""
        return (len(self._rows), *self._clouds.shape[1:])

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """float32."""
        return self._clouds.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int | np.integer | slice | NDArray[Any]) -> NDArray[np.float32]:
        return self._clouds[self._rows[index]]

    def __array__(
        self, dtype: np.dtype[Any] | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        if copy is False:
            raise ValueError("clouds picked from an array are an array only by a copy")
        clouds = self._clouds[self._rows]
        return clouds if dtype is None else clouds.astype(dtype, copy=False)

    def pick(self, rows: NDArray[np.int64]) -> "CloudRows":
        """Return those of these clouds at ``rows``."""
        return CloudRows(self._clouds, self._rows[rows])


@dataclass(frozen=True, eq=False)
class CloudSet:
    """One split of a data set; its arrays are read-only, and may lie in a mapped file.

    Attributes:
        name: of the data set.
        split: ``train``, ``validation`` or ``test``.
        points: (n, P, 3) float32, z up, each cloud with mean 0 and largest radius 1; those of
            a :meth:`subset` are :class:`CloudRows` of the whole.
        labels: (n,) int64, indices into ``classes``; None where unlabelled.
        classes: the class names.
        ids: (n,) names, unique within the split.

    Raises:
        ValueError: an array has the wrong shape or type, or two ids are equal.
    """

    name: str
    split: str
    points: NDArray[np.float32] | CloudRows
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    ids: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_clouds(self.points)
        if self.points.dtype != np.float32:
            raise ValueError(f"points should be float32, not {self.points.dtype}")
        if len(self.ids) != len(self.points) or len(set(self.ids)) != len(self.ids):
            raise ValueError("ids should be unique, one a cloud")
        if isinstance(self.points, np.ndarray):
            object.__setattr__(self, "points", _read_only(self.points))
        if self.labels is not None:
            if self.labels.shape != self.points.shape[:1] or self.labels.dtype != np.int64:
                raise ValueError("labels should be int64, one a cloud")
            object.__setattr__(self, "labels", _read_only(self.labels))

    def __len__(self) -> int:
        return len(self.points)

    def subset(self, indices: Sequence[int] | NDArray[np.int64], split: str | None = None) -> Self:
        """Return the clouds at ``indices``, in that order, under the name ``split`` if given.

        It shares the points of this set and copies none.
        """
        rows = np.asarray(indices, dtype=np.int64)
        points = self.points
        return type(self)(
            name=self.name,
            split=self.split if split is None else split,
            points=points.pick(rows) if isinstance(points, CloudRows) else CloudRows(points, rows),
            labels=None if self.labels is None else self.labels[rows],
            classes=self.classes,
            ids=tuple(self.ids[row] for row in rows),
        )

    def fingerprint(self) -> str:
        """Return a SHA-256, in hex, over points, labels and ids: what the data is, not its name."""
        digest = hashlib.sha256(repr((self.points.shape, self.ids)).encode())
        for start in range(0, len(self), _CLOUDS_AT_ONCE):
            part = self.points[start : start + _CLOUDS_AT_ONCE]
            digest.update(np.ascontiguousarray(part, dtype="<f4").data)
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels, dtype="<i8").data)
        return digest.hexdigest()

    def batch(
        self, indices: Sequence[int] | NDArray[np.int64], count: int, *key: int | str
    ) -> NDArray[np.float32]:
        """Return ``count`` points of each cloud at ``indices``: (b, count, 3) float32.

        They are chosen without replacement, and by ``key`` and the cloud's own index alone:
        whoever asks for a cloud, in whatever batch, gets the same points.

        Args:
            indices: (b,) clouds of this set.
            count: points a cloud.
            key: what fixes the choice, for example ``("points", seed, epoch)``.

        Raises:
            UserError: the clouds have fewer than ``count`` points.
        """
        # Imported here because it brings torch, which takes seconds that `--help` must not.
        from pc_crvae.randomness import keyed_numpy_generator

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
    sides = points.max(axis=1).astype(np.float64) - points.min(axis=1)
    longest: NDArray[np.float64] = sides.max(axis=1)
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


def _check_clouds(points: NDArray[Any] | CloudRows) -> None:
    if len(points.shape) != 3 or points.shape[2] != 3 or points.shape[1] == 0:
        raise ValueError(f"clouds should be (n, P, 3) with P > 0, not {points.shape}")


def _read_only(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    view = array.view()
    view.flags.writeable = False
    return view
