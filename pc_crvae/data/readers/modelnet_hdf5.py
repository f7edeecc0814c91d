"""Reader of the layout of ``modelnet40_ply_hdf5_2048``, and of sets laid out like it.

A root holds ``shape_names.txt`` (one class per line), ``train_files.txt`` and ``test_files.txt``
(an HDF5 file a line), the HDF5 files with ``data`` (n, P, 3) and ``label`` (n, 1) or (n,), and
for each, where its authors gave one, a JSON list of the n meshes its clouds were sampled from.
"""

import re
from contextlib import suppress
from pathlib import Path, PurePosixPath

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.formats.hdf5 import file_and_row, join_parts, read_part
from pc_crvae.data.items import RawItems
from pc_crvae.data.readers import name_lists
from pc_crvae.data.readers.labels import check_labels
from pc_crvae.errors import UserError

VERSION = 2

_CLASSES = "shape_names.txt"


def read_split(root: Path, split: Split, card: Card) -> RawItems:
    """Read one split, the files in the order of their list.

    Ids are the mesh names (``bed_0591``), a repeated one marked ``bed_0591#2``, or
    ``ply_data_train0/17`` (file and row) where there is no list of meshes.

    Raises:
        UserError: a file is missing or damaged, or what it holds cannot be used; the sentence
            names the file and the defect.
    """
    classes = tuple(name_lists.read_lines(root / _CLASSES))
    parts = []
    for path in name_lists.listed_files(root / f"{split}_files.txt"):
        part = read_part(path, _read_ids)
        check_labels(part.path, part.labels, len(classes), _CLASSES)
        parts.append(part)
    return join_parts(parts, classes)


def source_paths(root: Path, split: Split, card: Card) -> list[Path]:
    """Return every path that :func:`read_split` looks at, whether it is there or not."""
    list_path = root / f"{split}_files.txt"
    paths = [root / _CLASSES, list_path]
    with suppress(UserError):  # which read_split raises in its turn
        for path in name_lists.listed_candidates(list_path):
            paths += [path, _id_list(path)]
    return paths


def _id_list(path: Path) -> Path:
    # The list of ply_data_train0.h5 is called ply_data_train_0_id2file.json.
    return path.with_name(re.sub(r"(?<=[^_\d])(\d+)$", r"_\1", path.stem) + "_id2file.json")


def _read_ids(path: Path, count: int) -> list[str]:
    list_path = _id_list(path)
    if not list_path.is_file():
        return file_and_row(path, count)
    listed = name_lists.read_names(list_path, path, count, "mesh")
    return [PurePosixPath(name_lists.as_posix(mesh)).stem for mesh in listed]
