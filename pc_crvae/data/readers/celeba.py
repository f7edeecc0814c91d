"""Reader of CelebA's aligned images: 202,599 JPEG files and the list that cuts them into splits.

A root holds ``list_eval_partition.txt`` (a file name and 0, 1 or 2 a line: training, validation,
test) and ``img_align_celeba.zip`` or the folder in it, ``img_align_celeba``, with images of
178x218 pixels; the folder is read where both are there (Z. Liu, P. Luo, X. Wang and X. Tang, Deep
learning face attributes in the wild, ICCV 2015). The official validation images belong to neither
split here. Attributes are not read: the set is unlabelled.

An image becomes the 148x148 pixels around its middle (rows 35 to 182, columns 15 to 162), which is
what torchvision's ``CenterCrop(148)`` makes of it and most code for 64x64 faces uses; where the
card's variant is ``larsen``, rows 40 to 187, the crop of A. B. L. Larsen, S. K. Sonderby,
H. Larochelle and O. Winther (Autoencoding beyond pixels using a learned similarity metric, 2016)
that NVAE keeps to. Then it is resized to 64x64, bilinear with antialiasing.
"""

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.formats.images import decode_image
from pc_crvae.data.items import RawItems
from pc_crvae.data.readers.variants import form_of
from pc_crvae.errors import UserError, told
from pc_crvae.utils.files import read_bytes
from pc_crvae.utils.zip_members import open_zip, read_member

VERSION = 1

SIDE = 64
"""Pixels, once an image is cropped and resized."""

LARSEN = "larsen"
"""The variant of a card whose crop lies five pixels below the middle."""

_FOLDER = "img_align_celeba"
_ARCHIVE = "img_align_celeba.zip"
_PARTITION = "list_eval_partition.txt"
_NUMBER: dict[Split, str] = {"train": "0", "test": "2"}
_LINE = re.compile(r"(?P<name>[\w-]+\.jpg)\s+(?P<number>[012])", re.ASCII)

_SIZE = (178, 218)
_CROP = 148
_LEFT = (_SIZE[0] - _CROP) // 2
_TOPS = {None: (_SIZE[1] - _CROP) // 2, LARSEN: 40}

_MOST_BYTES = 1 << 20
_MOST_LIST_BYTES = 1 << 26


def read_split(root: Path, split: Split, card: Card) -> RawItems:
    """Read one split: images (n, 3, 64, 64) uint8, no labels, ids such as ``000001``.

    Raises:
        UserError: the list or an image is missing or damaged, or an image has another size; the
            sentence names the file.
    """
    names = _read_partition(root / _PARTITION, _NUMBER[split])
    top = form_of(card, _TOPS)
    images = np.empty((len(names), 3, SIDE, SIDE), np.uint8)
    with _open_images(root) as (folder, present, read):
        missing = next((name for name in names if name not in present), None)
        if missing is not None:
            raise UserError(
                f"{folder / missing} is missing, though {_PARTITION} lists it: get it again"
            )
        for row, name in enumerate(names):
            path = folder / name
            images[row] = _crop(decode_image(read(path), str(path), _SIZE), path, top)
    return RawItems(images, None, (), tuple(Path(name).stem for name in names))


def source_paths(root: Path, split: Split, card: Card) -> list[Path]:
    """Return what :func:`read_split` looks at, whether it is there or not.

    Of the unpacked images it is their folder, which shows that one was added or taken away; to
    look at each of 202,599 files would take longer than to load what was prepared.
    """
    return [root / _PARTITION, root / _FOLDER, root / _ARCHIVE]


@contextmanager
def _open_images(root: Path) -> Iterator[tuple[Path, Collection[str], Callable[[Path], bytes]]]:
    """Give the folder of the images, perhaps one in the archive, their names, and how to read."""
    folder, path = root / _FOLDER, root / _ARCHIVE
    if folder.is_dir():
        with told(f"the folder {folder} cannot be read", OSError):
            names = {file.name for file in folder.iterdir()}
        yield folder, names, lambda path: read_bytes(path, _MOST_BYTES)
        return
    if not path.is_file():
        raise UserError(
            f"{path} is missing, and so is the folder {_FOLDER}: is this the folder of CelebA's "
            "aligned images?"
        )
    prefix = f"{_FOLDER}/"
    with open_zip(path) as archive:
        inside = [member for member in archive.infolist() if member.filename.startswith(prefix)]
        members = {member.filename.removeprefix(prefix): member for member in inside}

        def read(image: Path) -> bytes:
            return read_member(archive, members[image.name], _MOST_BYTES)

        yield path / _FOLDER, members, read


def _read_partition(path: Path, number: str) -> list[str]:
    """Return the names of the files of one part, each once, in the order of the list."""
    with told(f"{path} cannot be read as text", UnicodeDecodeError):
        text = read_bytes(path, _MOST_LIST_BYTES).decode("utf-8")
    names: dict[str, bool] = {}
    for position, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise UserError(
                f"{path} should have a name and 0, 1 or 2 a line, as in 000001.jpg 0, which line "
                f"{position} does not"
            )
        if found["name"] in names:
            raise UserError(f"{path} has {found['name']} twice, the second time in line {position}")
        names[found["name"]] = found["number"] == number
    chosen = [name for name, wanted in names.items() if wanted]
    if not chosen:
        raise UserError(f"{path} lists no image of this split, which has the number {number}")
    return chosen


def _crop(image: Image.Image, path: Path, top: int) -> NDArray[np.uint8]:
    """Cut and resize an image: (3, 64, 64)."""
    if image.mode != "RGB":
        raise UserError(f"{path} is not a colour image: its pixels are {image.mode}")
    square = image.crop((_LEFT, top, _LEFT + _CROP, top + _CROP))
    pixels = np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    return pixels.transpose(2, 0, 1)
