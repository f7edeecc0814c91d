"""Reader of ScanObjectNN's HDF5 files, the official main split.

A root, the ``h5_files`` of the authors' archive, holds the folders ``main_split`` (objects with
their background) and ``main_split_nobg`` (without); each file has ``data`` (n, 2048, 3), ``label``
(n,) and ``mask`` (n, 2048), which says what is background and is not used. The files name no
classes: labels are indices into the card's.
"""

from pathlib import Path

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.formats.hdf5 import file_and_row, join_parts, read_part
from pc_crvae.data.items import RawItems
from pc_crvae.data.readers.labels import check_labels
from pc_crvae.data.readers.variants import form_of
from pc_crvae.errors import UserError

VERSION = 2

VARIANTS: dict[str | None, tuple[str, str]] = {
    "obj_bg": ("main_split", ""),
    "obj_only": ("main_split_nobg", ""),
    "pb_t25": ("main_split", "_augmented25_norot"),
    "pb_t25_r": ("main_split", "_augmented25rot"),
    "pb_t50_r": ("main_split", "_augmentedrot"),
    "pb_t50_rs": ("main_split", "_augmentedrot_scale75"),
}
"""Folder and end of the files' names by the card's variant, called as in the paper.

Objects with background; objects alone; objects in boxes shifted by up to a quarter (T25) or a half
(T50) of their size, perhaps rotated (R) and scaled (S).
"""


def read_split(root: Path, split: Split, card: Card) -> RawItems:
    """Read one split of the variant that the card names.

    Ids are file and row, such as ``training_objectdataset/17``.

    Raises:
        UserError: the card names no variant, or the file is missing or damaged, or what it holds
            cannot be used; the sentence names the file and the defect.
    """
    path = _path(root, split, card)
    if not path.is_file():
        raise UserError(f"{path} is missing: is {root} the folder h5_files of ScanObjectNN?")
    part = read_part(path, file_and_row)
    check_labels(path, part.labels, len(card.classes), f"the card {card.name}")
    return join_parts([part], card.classes)


def source_paths(root: Path, split: Split, card: Card) -> list[Path]:
    """Return every path that :func:`read_split` looks at, whether it is there or not."""
    return [_path(root, split, card)]


def _path(root: Path, split: Split, card: Card) -> Path:
    folder, end = form_of(card, VARIANTS)
    return root / folder / f"{'training' if split == 'train' else split}_objectdataset{end}.h5"
