"""One cloud a file, in the formats that scanners and programs write."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.clouds import extents
from pc_crvae.data.formats.bounds import bounds
from pc_crvae.data.formats.precision import check_steps, defect_of_steps, steps_along
from pc_crvae.data.formats.registry import CLOUD_SUFFIXES, format_of
from pc_crvae.data.formats.text import parse_text
from pc_crvae.data.items import Sample
from pc_crvae.errors import UserError
from pc_crvae.utils.files import read_bytes

FARTHEST = 1e150
"""Coordinates beyond it would overflow when they are squared."""

LARGEST_FILE = 1 << 32
"""Bytes of a file that is read as one cloud."""

_LEAST_EXTENT = 1e-12
"""Of a cloud, for each unit of distance from the origin: what double precision can hold."""


def read_cloud(
    path: Path, unmeasured: Callable[[int], None] | None = None, content: bytes | None = None
) -> NDArray[np.float64]:
    """Read the points of a file, in its own frame and scale: (N, 3).

    Its suffix says how: ``.ply`` (a mesh's vertices; faces behind them are not read, so damage to
    them is not refused), ``.pcd``, ``.xyz``, ``.txt``, ``.csv`` and ``.pts`` (see
    :func:`parse_text`), ``.npy`` (N, 3 or more) and ``.npz`` (see :func:`read_npz_cloud`); columns
    after the third are ignored, unless names at the head of a table say which ones are meant.

    Args:
        path: the file.
        unmeasured: the function that gets the number of points left out because they are NaN
            or infinite, if any; None: a file with such points is refused.
        content: the bytes of the file, where they have been read; None: they are read here.

    Raises:
        UserError: the file is missing, damaged or of another kind, a coordinate is not finite,
            or all points coincide; the sentence names the file and the defect.
    """
    parse = format_of(path).cloud
    if parse is None:
        raise UserError(
            f"{path} is no cloud by its name, which should end in {', '.join(CLOUD_SUFFIXES)}"
        )
    with np.errstate(invalid="ignore"):  # a NaN of single precision, which is refused below
        stored = parse(path, read_bytes(path, LARGEST_FILE) if content is None else content)[:, :3]
        points = stored.astype(np.float64)
    if unmeasured is not None and len(points) and not np.isfinite(bounds(points)).all():
        measured = np.isfinite(points).all(axis=1)
        unmeasured(int(np.count_nonzero(~measured)))
        points = points[measured]
    check_points(path, points)
    low, high = bounds(points)
    check_steps(path, (high - low).max(), max(high.max(), -low.min()), stored.dtype)
    return points


def load_points(path: Path, count: int, rng: np.random.Generator) -> Sample:
    """Read a cloud and choose ``count`` of its points: see :func:`choose_points`.

    Raises:
        UserError: as :func:`read_cloud`, or the points chosen coincide.
    """
    return choose_points(path, read_cloud(path), None, count, rng)


def load_measured_points(path: Path, count: int, rng: np.random.Generator) -> Sample:
    """As :func:`load_points`, of the points whose coordinates are neither NaN nor infinite.

    The others are counted as the repair ``points not measured``.

    Raises:
        UserError: as there, or no point is left.
    """
    left_out: list[int] = []
    sample = choose_points(path, read_cloud(path, left_out.append), None, count, rng)
    if not left_out:
        return sample
    return replace(sample, repairs={**sample.repairs, "points not measured": sum(left_out)})


def load_points_and_normals(path: Path, count: int, rng: np.random.Generator) -> Sample:
    """Read a text file of points and normals, ``x y z nx ny nz``, and choose ``count`` of them.

    They are chosen as by :func:`choose_points`. Normals are brought to unit length; where one of
    those chosen has none, they are counted as the repair ``normals without length`` and the sample
    goes without normals.

    Raises:
        UserError: as :func:`read_cloud`, or the points chosen coincide.
    """
    table = parse_text(path, read_bytes(path, LARGEST_FILE), 6)
    points, normals = table[:, :3], table[:, 3:]
    check_points(path, points)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        units = normals / np.linalg.norm(normals, axis=1, keepdims=True)
        has_none = ~(np.abs(np.linalg.norm(units, axis=1) - 1) < 1e-6)
    units[has_none] = np.nan
    sample = choose_points(path, points, units, count, rng)
    without = int(np.isnan(sample.normals).any(axis=1).sum()) if sample.normals is not None else 0
    if without == 0:
        return sample
    return Sample(sample.points, None, {**sample.repairs, "normals without length": without})


def choose_points(
    path: Path | str,
    points: NDArray[np.float64],
    normals: NDArray[np.float64] | None,
    count: int,
    rng: np.random.Generator,
) -> Sample:
    """Choose ``count`` points without replacement.

    Where there are fewer, each is taken once and the rest are repeats of points drawn at random,
    counted as the repair ``points repeated``.

    Args:
        path: the file, for the sentence of an error.
        points: (N, 3).
        normals: (N, 3), one per point, or None.
        count: points to choose.
        rng: the generator to draw from.

    Raises:
        UserError: all the points chosen coincide, which few points of many can.
    """
    available = len(points)
    repairs = {}
    if available >= count:
        rows = rng.choice(available, count, replace=False)
    else:
        repeated = count - available
        rows = np.concatenate([np.arange(available), rng.integers(available, size=repeated)])
        repairs["points repeated"] = repeated
    chosen = points[rows]
    _check_extent(path, chosen)
    return Sample(chosen, None if normals is None else normals[rows], repairs)


def check_points(path: Path | str, points: NDArray[np.float64]) -> None:
    """Refuse a cloud that cannot be normalised.

    Args:
        path: its file, for the sentence of an error.
        points: (N, 3).

    Raises:
        UserError: there is no point, one has a coordinate that is not finite or out of all
            proportion, or all coincide as far as the digits show.
    """
    if len(points) == 0:
        raise UserError(f"{path} holds no points")
    if not (np.abs(bounds(points)) < FARTHEST).all():  # of NaN it is false as well
        fine = (np.abs(points) < FARTHEST).all(axis=1)
        row = int(np.argmin(fine))
        kind = "beyond 1e150" if np.isfinite(points[row]).all() else "that is NaN or infinite"
        others = int((~fine).sum()) - 1
        more = f" (and in {others:,} more)" if others else ""
        raise UserError(
            f"{path} has a coordinate {kind} in point {row}{more}: remove what was not "
            "measured, or have it left out by drop_nan"
        )
    _check_extent(path, points)


def _check_extent(path: Path | str, points: NDArray[np.float64]) -> None:
    defect = defects_of_scale(points[None])[0]
    if defect is not None:
        raise UserError(f"{path} is {defect}")


def defects_of_scale(points: NDArray[Any]) -> list[str | None]:
    """Say what keeps clouds (n, P, 3) of finite coordinates from being scaled; None if nothing."""
    extent = extents(points)
    ends = np.stack([points.min(axis=(1, 2)), points.max(axis=(1, 2))])
    farthest = np.abs(ends.astype(np.float64)).max(axis=0)
    steps = steps_along(extent, farthest, points.dtype)
    return [
        "one single point, which has no scale"
        if size == 0
        else "so far from the origin, for its size, that too few digits are left of its shape"
        if lost
        else defect_of_steps(left, points.dtype)
        for size, lost, left in zip(extent, extent < _LEAST_EXTENT * farthest, steps, strict=True)
    ]
