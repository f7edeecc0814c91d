"""Whether the type that coordinates are stored in leaves enough of a shape far from the origin.

The numbers of a floating-point type lie the further apart, the larger they are: those of single
precision near 5,000,000 (as of a map's coordinates) by half a unit.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.bounds import bounds
from pc_crvae.errors import UserError

LEAST_STEPS = 256
"""Along the longest side of a shape; fewer of them show as stairs."""


def steps_along(side: Any, farthest: Any, stored: np.dtype[Any]) -> NDArray[np.float64]:
    """How many steps of a type lie along sides, where the type is coarsest.

    Args:
        side: (...) float64.
        farthest: (...) float64, the largest absolute coordinate.
        stored: the type; whole numbers are exact.

    Returns:
        (...), infinity for whole numbers.
    """
    if stored.kind != "f":
        return np.full(np.shape(side), np.inf)
    native = stored.newbyteorder("=")
    step = np.spacing(np.asarray(farthest).astype(native)).astype(np.float64)
    steps: NDArray[np.float64] = side / step
    return steps


def check_steps(path: Path | str, side: Any, farthest: Any, stored: np.dtype[Any]) -> None:
    """Refuse a shape of which too few distinct values are left.

    Args:
        path: its file, for the sentence of the error.
        side: its longest side.
        farthest: its largest absolute coordinate.
        stored: the type that its coordinates are stored in.

    Raises:
        UserError: it is such.
    """
    defect = defect_of_steps(float(steps_along(side, farthest, stored)), stored)
    if defect is not None:
        raise UserError(f"{path} is {defect}")


def defect_of_steps(steps: float, stored: np.dtype[Any]) -> str | None:
    """Say what is wrong with a shape of so few steps; None if nothing, as of a single point."""
    if not 0 < steps < LEAST_STEPS:
        return None
    return (
        f"so far from the origin, for its size, that its numbers ({stored.name}) leave only "
        f"{steps:,.0f} steps along its longest side: store it in double precision, or move it to "
        "the origin before it is stored"
    )


def as_single(points: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return coordinates that a text declares of single precision: in it, unless they say more.

    Args:
        points: (N, 3).
    """
    if points.dtype.itemsize <= 4:
        return points.astype(points.dtype.newbyteorder("="))
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = points.astype(np.float32)
    if len(points) == 0 or not np.isfinite(rounded).all():
        return points
    low, high = (corner.astype(np.float64) for corner in bounds(rounded))
    steps = steps_along((high - low).max(), max(high.max(), -low.min()), rounded.dtype)
    if not 0 < steps < LEAST_STEPS:
        return points
    says_more = any(len(np.unique(points[:, k])) > len(np.unique(rounded[:, k])) for k in range(3))
    return points if says_more else rounded
