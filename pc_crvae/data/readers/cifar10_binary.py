"""Reader of the binary version of CIFAR-10, from its archive as it is or unpacked.

A root holds ``cifar-10-binary.tar.gz`` or the folder in it, ``cifar-10-batches-bin``; the folder
is read where both are there. It has ``batches.meta.txt`` (one class per line),
``data_batch_1.bin`` to ``data_batch_5.bin`` and ``test_batch.bin``. A record is one byte for the
label, then 1,024 each for red, green and blue, row by row
(https://www.cs.toronto.edu/~kriz/cifar.html). A file may hold any number of records.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.fetching.archives import read_members
from pc_crvae.data.items import RawItems
from pc_crvae.data.readers.labels import check_labels
from pc_crvae.errors import UserError
from pc_crvae.utils.files import read_bytes

VERSION = 1

_FOLDER = "cifar-10-batches-bin"
_ARCHIVE = "cifar-10-binary.tar.gz"
_NAMES = "batches.meta.txt"
_BATCHES: dict[Split, tuple[str, ...]] = {
    "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test": ("test_batch.bin",),
}
_SHAPE = (3, 32, 32)
_RECORD_BYTES = 1 + 3 * 32 * 32

# Of a file, or of the archive unpacked; the official one has 184,380,061 and what tar adds.
_MOST_BYTES = 1 << 28


def read_split(root: Path, split: Split, card: Card) -> RawItems:
    """Read one split: images (n, 3, 32, 32) uint8, ids such as ``data_batch_1/17`` (file, row).

    Raises:
        UserError: a file is missing or damaged, or its classes are not those of the card; the
            sentence names the file and the defect.
    """
    batches = _BATCHES[split]
    source, contents = _read_files(root, (_NAMES, *batches))
    classes = _read_classes(source / _NAMES, contents[_NAMES], card)
    records = [_read_records(source / name, contents[name], len(classes)) for name in batches]
    every = np.concatenate(records)
    ids: list[str] = []
    for name, part in zip(batches, records, strict=True):
        ids += [f"{Path(name).stem}/{row}" for row in range(len(part))]
    images = np.ascontiguousarray(every[:, 1:]).reshape(-1, *_SHAPE)
    return RawItems(images, every[:, 0].astype(np.int64), classes, tuple(ids))


def source_paths(root: Path, split: Split, card: Card) -> list[Path]:
    """Return every path that :func:`read_split` looks at, whether it is there or not."""
    folder = root / _FOLDER
    return [root / _ARCHIVE, folder, *(folder / name for name in (_NAMES, *_BATCHES[split]))]


def _read_files(root: Path, names: tuple[str, ...]) -> tuple[Path, dict[str, bytes]]:
    """Return where the files lie, and the content of each by its name."""
    folder = root / _FOLDER
    if folder.is_dir():
        return folder, {name: read_bytes(folder / name, _MOST_BYTES) for name in names}
    archive = root / _ARCHIVE
    if not archive.is_file():
        raise UserError(
            f"{archive} is missing, and so is the folder {_FOLDER}: is this the folder of the "
            "binary version?"
        )
    contents = read_members(archive, [f"{_FOLDER}/{name}" for name in names], _MOST_BYTES)
    for name in names:
        if f"{_FOLDER}/{name}" not in contents:
            raise UserError(f"{archive / _FOLDER / name} is missing: download {_ARCHIVE} again")
    return archive / _FOLDER, {name: contents[f"{_FOLDER}/{name}"] for name in names}


def _read_classes(path: Path, content: bytes, card: Card) -> tuple[str, ...]:
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} cannot be read as text: download it again") from error
    classes = tuple(line.strip() for line in lines if line.strip())
    if classes != card.classes:
        raise UserError(
            f"{path} names the classes {', '.join(classes) or '(none)'} where {card.name} has "
            f"{', '.join(card.classes)}: is it the folder of another data set?"
        )
    return classes


def _read_records(path: Path, content: bytes, classes: int) -> NDArray[np.uint8]:
    """Return the records of a file, (n, 3073)."""
    if not content or len(content) % _RECORD_BYTES:
        raise UserError(
            f"{path} has {len(content)} bytes, which is no whole number of records of "
            f"{_RECORD_BYTES}: download it again"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD_BYTES)
    check_labels(path, records[:, 0], classes, _NAMES)
    return records
