"""Clouds in HDF5 files as the field writes them: ``data`` (n, P, 3) and ``label`` (n, 1) or (n,).

What the layouts that are made of them share. Every size is checked against the bytes on the
disk before memory is taken, and no data are followed into other files.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.cloud_files import FARTHEST, defects_of_scale
from pc_crvae.data.items import RawItems, told_apart
from pc_crvae.errors import UserError, reason_of

_MOST_UNPACKED = 1032
"""What a byte can stand for at most that HDF5's strongest usual filter, deflate, has packed."""


@dataclass(frozen=True)
class Part:
    """What one file holds.

    Attributes:
        path: the file.
        points: (n, P, 3), any real type, all finite, no cloud collapsed.
        labels: (n,) int64, as the file has them.
        ids: n names.
    """

    path: Path
    points: NDArray[Any]
    labels: NDArray[np.int64]
    ids: list[str]


def read_part(path: Path, ids_of: Callable[[Path, int], list[str]]) -> Part:
    """Read and check a file.

    Args:
        path: the file.
        ids_of: gives the names of the n clouds of a file.

    Raises:
        UserError: it is missing, damaged, or what it holds cannot be used.
    """
    points, labels = _read_arrays(path)
    _check_shape(path, points)
    ids = ids_of(path, len(points))
    _check_points(path, points, ids)
    if labels.dtype.kind not in "iu":
        raise UserError(f"{path}: 'label' should hold whole numbers, not {labels.dtype}")
    if labels.shape not in ((len(points),), (len(points), 1)):
        raise UserError(
            f"{path}: 'label' should have the shape ({len(points)}, 1) to match 'data', "
            f"not {labels.shape}"
        )
    flat = labels.reshape(-1)
    if labels.dtype == np.uint64 and (flat > np.iinfo(np.int64).max).any():
        raise UserError(f"{path}: the label {flat.max()} is out of range")
    return Part(path, points, flat.astype(np.int64), ids)


def join_parts(parts: list[Part], classes: tuple[str, ...]) -> RawItems:
    """Put the files of a split together, in their order; repeated ids are marked ``#2``.

    Raises:
        UserError: they differ in points a cloud.
    """
    first = parts[0]
    for part in parts:
        if part.points.shape[1] != first.points.shape[1]:
            raise UserError(
                f"{part.path} has {part.points.shape[1]} points a cloud where {first.path.name} "
                f"has {first.points.shape[1]}: one split needs one count"
            )
    points = np.concatenate(
        [part.points.astype(np.result_type(part.points, np.float32), copy=False) for part in parts]
    )
    labels = np.concatenate([part.labels for part in parts])
    ids = told_apart(name for part in parts for name in part.ids)
    return RawItems(points, labels, classes, tuple(ids))


def file_and_row(path: Path, count: int) -> list[str]:
    """Return names such as ``ply_data_train0/17`` for clouds that have none."""
    return [f"{path.stem}/{row}" for row in range(count)]


def _read_arrays(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    try:
        with h5py.File(path, "r") as file:
            return _read_array(path, file, "data"), _read_array(path, file, "label")
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing") from error
    except UserError:
        raise
    # Which of them h5py raises depends on the part of the file that is damaged.
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, BlockingIOError) or "lock file" in str(error):
            raise UserError(
                f"{path} is locked by another process, which writes to it: wait for it or close "
                "the file there, or set HDF5_USE_FILE_LOCKING=FALSE if it is only read"
            ) from error
        raise UserError(
            f"{path} is not an HDF5 file or is damaged ({reason_of(error)}): unpack or download it "
            "again"
        ) from error


def _read_array(path: Path, file: h5py.File, key: str) -> NDArray[Any]:
    held_here = isinstance(file.get(key, getlink=True), h5py.HardLink)
    dataset = file.get(key) if held_here else None
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise UserError(f"{path} has no data set '{key}': is it of another layout?")
    if dataset.dtype.kind not in "fiu":
        raise UserError(f"{path}: '{key}' should hold numbers, not {dataset.dtype}")
    size = dataset.size or 0
    promised = size * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    packed = dataset.id.get_create_plist().get_nfilters() > 0
    there = stored * _MOST_UNPACKED if packed else stored
    if promised > there or stored > path.stat().st_size:
        raise UserError(
            f"{path} is cut short or damaged: '{key}' promises {promised} bytes of numbers, and "
            f"{stored} are stored: unpack or download it again"
        )
    return np.asarray(dataset[()])


def _check_shape(path: Path, points: NDArray[Any]) -> None:
    if points.ndim != 3 or points.shape[2] != 3:
        transposed = ": is it transposed?" if points.ndim == 3 and points.shape[1] == 3 else ""
        raise UserError(
            f"{path}: 'data' should have the shape (n, P, 3), not {points.shape}{transposed}"
        )
    if points.size == 0:
        raise UserError(f"{path}: 'data' is empty, its shape is {points.shape}")


def _check_points(path: Path, points: NDArray[Any], ids: list[str]) -> None:
    finite = np.isfinite(points).all(axis=(1, 2))
    if points.dtype.itemsize > 4:  # smaller ones cannot be that far out
        finite &= (np.abs(points) < FARTHEST).all(axis=(1, 2))
    if not finite.all():
        row = int(np.argmin(finite))
        raise UserError(
            f"{path}: 'data' has a NaN, infinite or immense coordinate in row {row} ({ids[row]})"
        )
    for row, defect in enumerate(defects_of_scale(points)):
        if defect is not None:
            raise UserError(f"{path}: the cloud in row {row} ({ids[row]}) is {defect}")
