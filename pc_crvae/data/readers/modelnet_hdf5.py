"""Reader of the layout of ``modelnet40_ply_hdf5_2048``, and of sets laid out like it.

A root holds ``shape_names.txt`` (a class a line), ``train_files.txt`` and ``test_files.txt``
(an HDF5 file a line), the HDF5 files with ``data`` (n, P, 3) and ``label`` (n, 1) or (n,), and
for each, where its authors gave one, a JSON list of the n meshes its clouds were sampled from.
"""

import json
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.clouds import RawClouds, extents
from pc_crvae.errors import UserError


def read_split(root: Path, split: Split, card: Card) -> RawClouds:
    """Read one split, the files in the order of their list.

    Ids are the mesh names (``bed_0591``), a repeated one marked ``bed_0591#2``, or
    ``ply_data_train0/17`` (file and row) where there is no list of meshes.

    Raises:
        UserError: a file is missing or damaged, or what it holds cannot be used; the sentence
            names the file and the defect.
    """
    classes = tuple(_lines(root / "shape_names.txt"))
    points: list[NDArray[Any]] = []
    labels: list[NDArray[np.int64]] = []
    ids: list[str] = []
    paths = _listed_files(root / f"{split}_files.txt")
    for path in paths:
        file_points, file_labels = _read_arrays(path)
        _check_shape(path, file_points)
        file_ids = _read_ids(path, len(file_points))
        _check_points(path, file_points, file_ids)
        _check_labels(path, file_labels, len(file_points), len(classes))
        if points and file_points.shape[1] != points[0].shape[1]:
            raise UserError(
                f"{path} has {file_points.shape[1]} points a cloud where {paths[0].name} has "
                f"{points[0].shape[1]}: one split needs one count"
            )
        points.append(file_points.astype(np.result_type(file_points, np.float32), copy=False))
        labels.append(file_labels.reshape(-1).astype(np.int64))
        ids.extend(file_ids)
    return RawClouds(np.concatenate(points), np.concatenate(labels), classes, _unique(ids))


def source_paths(root: Path, split: Split, card: Card) -> list[Path]:
    """Return every path that :func:`read_split` looks at, whether it is there or not."""
    list_path = root / f"{split}_files.txt"
    paths = [root / "shape_names.txt", list_path]
    with suppress(UserError):  # which read_split raises in its turn
        for line in _lines(list_path):
            for path in _candidates(list_path, line):
                paths += [path, _id_list(path)]
    return paths


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: is this the folder with the .h5 files?") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text: {error}") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise UserError(f"{path} is empty: it should hold a name a line")
    return lines


def _listed_files(list_path: Path) -> list[Path]:
    paths = []
    for line in _lines(list_path):
        as_given, beside = _candidates(list_path, line)
        path = as_given if as_given.is_file() else beside
        if not path.is_file():
            raise UserError(f"{path} is missing, though {list_path.name} lists it")
        paths.append(path)
    return paths


def _candidates(list_path: Path, line: str) -> tuple[Path, Path]:
    # The official lists carry the prefix of their authors' machine, so the bare name counts.
    return list_path.parent / line, list_path.parent / PurePosixPath(line).name


def _id_list(path: Path) -> Path:
    # The list of ply_data_train0.h5 is called ply_data_train_0_id2file.json.
    return path.with_name(re.sub(r"(?<=[^_\d])(\d+)$", r"_\1", path.stem) + "_id2file.json")


def _read_arrays(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    try:
        with h5py.File(path, "r") as file:
            arrays = {
                key: np.asarray(file[key][()])
                for key in ("data", "label")
                if isinstance(file.get(key), h5py.Dataset)
            }
    # Which of them h5py raises depends on the part of the file that is damaged.
    except (OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path} is not an HDF5 file or is damaged ({reason}): unpack or download it again"
        ) from error
    for key in ("data", "label"):
        if key not in arrays:
            raise UserError(f"{path} has no data set '{key}': is it of another layout?")
        if arrays[key].dtype.kind not in "fiu":
            raise UserError(f"{path}: '{key}' should hold numbers, not {arrays[key].dtype}")
    return arrays["data"], arrays["label"]


def _check_shape(path: Path, points: NDArray[Any]) -> None:
    if points.ndim != 3 or points.shape[2] != 3:
        raise UserError(f"{path}: 'data' should have the shape (n, P, 3), not {points.shape}")
    if points.size == 0:
        raise UserError(f"{path}: 'data' is empty, its shape is {points.shape}")


def _check_points(path: Path, points: NDArray[Any], ids: list[str]) -> None:
    finite = np.isfinite(points).all(axis=(1, 2))
    if not finite.all():
        row = int(np.argmin(finite))
        raise UserError(
            f"{path}: 'data' has a NaN or infinite coordinate in row {row} ({ids[row]})"
        )
    collapsed = extents(points) == 0
    if collapsed.any():
        row = int(np.argmax(collapsed))
        raise UserError(
            f"{path}: the cloud in row {row} ({ids[row]}) is one single point, which has no scale"
        )


def _check_labels(path: Path, labels: NDArray[Any], count: int, classes: int) -> None:
    if labels.dtype.kind not in "iu":
        raise UserError(f"{path}: 'label' should hold whole numbers, not {labels.dtype}")
    if labels.shape not in ((count,), (count, 1)):
        raise UserError(
            f"{path}: 'label' should have the shape ({count}, 1) to match 'data', "
            f"not {labels.shape}"
        )
    outside = (labels.reshape(-1) < 0) | (labels.reshape(-1) >= classes)
    if outside.any():
        row = int(np.argmax(outside))
        raise UserError(
            f"{path}: the label {labels.reshape(-1)[row]} in row {row} is out of range, as "
            f"shape_names.txt names {classes} classes"
        )


def _read_ids(path: Path, count: int) -> list[str]:
    list_path = _id_list(path)
    if not list_path.is_file():
        return [f"{path.stem}/{row}" for row in range(count)]
    try:
        meshes = json.loads(list_path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{list_path} cannot be read as JSON: {error}") from error
    if not isinstance(meshes, list) or not all(isinstance(mesh, str) for mesh in meshes):
        raise UserError(f"{list_path} should hold a list of mesh names")
    if len(meshes) != count:
        raise UserError(f"{list_path} names {len(meshes)} meshes for the {count} of {path.name}")
    return [PurePosixPath(mesh).stem for mesh in meshes]


def _unique(ids: list[str]) -> tuple[str, ...]:
    seen: Counter[str] = Counter()
    unique = []
    for name in ids:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return tuple(unique)
