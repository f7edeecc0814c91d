"""Reader of ``shapenetcorev2_hdf5_2048``: ShapeNetCore as clouds in HDF5 files.

The layout is that of A. Tao's point cloud data sets. A root holds ``train0.h5``, ``train1.h5``,
..., and as many as there are of ``val`` and ``test``, with ``data`` (n, P, 3) and ``label`` (n, 1)
or (n,). Beside ``train0.h5`` may lie ``train0_id2file.json`` (the n models) and
``train0_id2name.json`` (their n class names); ``train_files.txt`` may list the files, and
``shape_names.txt`` the classes. The validation files are in neither split.
"""

import re
from contextlib import suppress
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.formats.hdf5 import Part, file_and_row, join_parts, read_part
from pc_crvae.data.items import RawItems
from pc_crvae.data.readers import name_lists
from pc_crvae.data.readers.labels import check_labels, labels_of
from pc_crvae.errors import UserError

VERSION = 2

_CLASSES = "shape_names.txt"


def read_split(root: Path, split: Split, card: Card) -> RawItems:
    """Read one split, its files in the order of their list or else of their numbers.

    The classes are the card's. Which one a cloud is of says the list of names beside its file;
    without one, its label is an index into ``shape_names.txt``, or into the card's classes where
    that is missing too. Ids are the models as listed, without suffix (``02691156/1a04e3ea``), a
    repeated one marked ``#2``, or ``train0/17`` (file and row) without a list.

    Raises:
        UserError: a file is missing or damaged, or what it holds cannot be used; the sentence
            names the file and the defect.
    """
    parts = []
    for path in _files(root, split):
        part = read_part(path, _read_ids)
        labels = _labels(root, part, card)
        parts.append(Part(path, part.points, labels, part.ids))
    return join_parts(parts, card.classes)


def source_paths(root: Path, split: Split, card: Card) -> list[Path]:
    """Return every path that :func:`read_split` looks at, whether it is there or not."""
    list_path = root / f"{split}_files.txt"
    paths = [root, root / _CLASSES, list_path]
    with suppress(UserError):  # which read_split raises in its turn
        listed = list_path.is_file()
        for path in name_lists.listed_candidates(list_path) if listed else _files(root, split):
            paths += [path, _beside(path, "id2file"), _beside(path, "id2name")]
    return paths


def _files(root: Path, split: Split) -> list[Path]:
    list_path = root / f"{split}_files.txt"
    if list_path.is_file():
        return name_lists.listed_files(list_path)
    named = re.compile(rf"{split}([0-9]{{1,9}})")
    found = [named.fullmatch(path.stem) for path in root.glob(f"{split}*.h5")]
    numbers = [int(match[1]) for match in found if match is not None]
    if not numbers:
        raise UserError(
            f"{root / f'{split}0.h5'} is missing: is this the folder with the .h5 files?"
        )
    paths = [root / f"{split}{number}.h5" for number in range(max(numbers) + 1)]
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path} is missing, though {paths[-1].name} is there")
    return paths


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(f"{path.stem}_{kind}.json")


def _read_ids(path: Path, count: int) -> list[str]:
    list_path = _beside(path, "id2file")
    if not list_path.is_file():
        return file_and_row(path, count)
    listed = name_lists.read_names(list_path, path, count, "mesh")
    models = [name_lists.as_posix(model) for model in listed]
    return [model.removesuffix(PurePosixPath(model).suffix) for model in models]


def _labels(root: Path, part: Part, card: Card) -> NDArray[np.int64]:
    """Return the labels of a file as indices into the card's classes."""
    list_path = _beside(part.path, "id2name")
    if list_path.is_file():
        names = name_lists.read_names(list_path, part.path, len(part.ids), "class")
        return np.array(labels_of(names, card, list_path))
    if not (root / _CLASSES).is_file():
        check_labels(part.path, part.labels, len(card.classes), f"the card {card.name}")
        return part.labels
    classes = name_lists.read_lines(root / _CLASSES)
    check_labels(part.path, part.labels, len(classes), _CLASSES)
    return np.array(labels_of([classes[label] for label in part.labels], card, root / _CLASSES))
