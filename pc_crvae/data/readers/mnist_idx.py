"""Reader of MNIST's layout, which FashionMNIST and others share: four idx files, packed or not.

A root holds ``train-images-idx3-ubyte.gz``, ``train-labels-idx1-ubyte.gz`` and the same two with
``t10k`` for the test split; each may lie there unpacked, without ``.gz``. An idx file starts with
four bytes (two of zero, 8 for unsigned bytes, the number of dimensions), then each dimension's
length as a big-endian 32-bit number; the values follow, the last dimension fastest
(http://yann.lecun.com/exdb/mnist).
"""

import gzip
import math
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.items import RawItems
from pc_crvae.data.readers.labels import check_labels
from pc_crvae.errors import UserError, told

VERSION = 1

_SIDE = 28
_MOST_IMAGES = 1_000_000
_PREFIX: dict[Split, str] = {"train": "train", "test": "t10k"}
_UNSIGNED_BYTE = 8

# Deflate makes at most 258 bytes of two bits (RFC 1951).
_BYTES_AT_ONCE = 1 << 20
_MOST_EXPANSION = 1032


def read_split(root: Path, split: Split, card: Card) -> RawItems:
    """Read one split: images (n, 1, 28, 28) uint8 as stored, ids such as ``train/17`` (the row).

    Raises:
        UserError: a file is missing or damaged, has another layout, or holds labels that the
            card has no class for; the sentence names the file and the defect.
    """
    image_path = _find(root, _names(split)[0])
    label_path = _find(root, _names(split)[1])
    labels = _read_idx(label_path, dimensions=1)
    check_labels(label_path, labels, len(card.classes), f"the card {card.name}")
    images = _read_idx(image_path, dimensions=3)
    if len(images) != len(labels):
        raise UserError(
            f"{image_path} holds {len(images)} images where {label_path.name} holds "
            f"{len(labels)} labels: they are not of one set"
        )
    ids = tuple(f"{split}/{row}" for row in range(len(images)))
    channels = images.reshape(-1, 1, _SIDE, _SIDE)
    return RawItems(channels, labels.astype(np.int64), card.classes, ids)


def source_paths(root: Path, split: Split, card: Card) -> list[Path]:
    """Return every path that :func:`read_split` looks at, whether it is there or not."""
    return [path for name in _names(split) for path in _candidates(root, name)]


def _names(split: Split) -> tuple[str, str]:
    prefix = _PREFIX[split]
    return f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"


def _candidates(root: Path, name: str) -> list[Path]:
    return [root / f"{name}.gz", root / name]


def _find(root: Path, name: str) -> Path:
    for path in _candidates(root, name):
        if path.is_file():
            return path
    raise UserError(
        f"{root / name}.gz is missing, and so is {name}: is this the folder with the idx files?"
    )


def _read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Return the array of an idx file of unsigned bytes."""
    # gzip raises the first for what is no gzip file, the second where it ends early, the third
    # where it is damaged inside.
    damage = OSError, EOFError, zlib.error
    with told(f"{path} cannot be read or is damaged", *damage, remedy="download it again"):
        if path.suffix != ".gz":
            with path.open("rb") as file:
                return _read_open(path, file, dimensions, path.stat().st_size)
        with gzip.open(path) as file:
            return _read_open(path, file, dimensions, _MOST_EXPANSION * path.stat().st_size)


def _read_open(path: Path, file: BufferedIOBase, dimensions: int, most: int) -> NDArray[np.uint8]:
    """Read an idx file that cannot hold more than ``most`` bytes, however it is packed."""
    header = file.read(4 + 4 * dimensions)
    if header[:4] != bytes([0, 0, _UNSIGNED_BYTE, dimensions]) or len(header) < 4 + 4 * dimensions:
        raise UserError(
            f"{path} is not an idx file of unsigned bytes in {dimensions} dimension"
            f"{'s' if dimensions > 1 else ''}: download it again"
        )
    lengths = [int(length) for length in np.frombuffer(header, ">u4", offset=4)]
    if lengths[1:] not in ([], [_SIDE, _SIDE]):
        raise UserError(
            f"{path} holds images of {lengths[1]}x{lengths[2]} pixels, not {_SIDE}x{_SIDE}"
        )
    if not 0 < lengths[0] <= _MOST_IMAGES:
        raise UserError(
            f"{path} promises {lengths[0]} items, where 1 to {_MOST_IMAGES} can be read"
        )
    promised = math.prod(lengths)
    if promised > most:
        raise UserError(f"{path} is too short for the {promised} bytes that its header promises")
    values = bytearray()
    # One byte more than promised also makes gzip check its sum of all of them. In parts, as a
    # false promise would ask for all of its memory at once.
    while part := file.read(min(_BYTES_AT_ONCE, promised + 1 - len(values))):
        values += part
    if len(values) != promised:
        found = len(values) if len(values) < promised else f"more than {promised}"
        raise UserError(f"{path} holds {found} bytes where its header promises {promised}")
    return np.frombuffer(values, np.uint8).reshape(lengths)
