"""Clouds in NumPy's own formats: ``.npy`` holds one array, ``.npz`` is a zip of these."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pc_crvae.data.formats.arrays import check_not_transposed
from pc_crvae.errors import UserError
from pc_crvae.utils.files import npz_names, parse_npy, read_npz

_KEYS = ("points", "pos", "data")
_LARGEST_ARRAY = 1 << 30
"""Bytes that an array of an ``.npz`` may unpack to: 44 million points in double precision."""


def parse_npy_cloud(path: Path, content: bytes) -> NDArray[Any]:
    """Parse the array of an ``.npy`` file: (N, 3 or more), any real type.

    Raises:
        UserError: it is damaged, or no such array.
    """
    return _checked(str(path), parse_npy(str(path), content))


def read_npz_cloud(path: Path) -> NDArray[Any]:
    """Read the cloud of an ``.npz`` file: (N, 3 or more), any real type.

    It is the array called ``points``, ``pos`` or ``data``, the first of them that is there, or
    else the only array.

    Raises:
        UserError: it is missing or damaged, or holds no such array.
    """
    names = npz_names(path)
    chosen = [key for key in _KEYS if key in names] or (names if len(names) == 1 else [])
    if not chosen:
        raise UserError(
            f"{path} holds the arrays {', '.join(sorted(names)[:10])}, of which none is called "
            f"{', '.join(_KEYS)}: name the cloud so"
            if names
            else f"{path} holds no array"
        )
    name = chosen[0]
    return _checked(f"{path} ({name})", read_npz(path, [name], most=_LARGEST_ARRAY)[name])


def _checked(where: str, array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in "fiu":
        raise UserError(f"{where} should hold numbers, not {str(array.dtype)[:80]}")
    if array.ndim != 2 or array.shape[1] < 3:
        raise UserError(f"{where} should have the shape (N, 3), not {array.shape}")
    if len(array) == 0:
        raise UserError(f"{where} holds no points")
    check_not_transposed(where, array.shape)
    return array
