"""Reader of a folder of one's own PNG and JPEG images, with or without class folders.

How folders tell classes and splits, :mod:`pc_crvae.data.readers.class_tree` says.
"""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pc_crvae.data.cards import Card, ImageShape, Split
from pc_crvae.data.formats.images import as_grey_or_rgb, decode_image
from pc_crvae.data.items import RawItems
from pc_crvae.data.readers.class_tree import class_tree_paths, read_class_tree
from pc_crvae.data.readers.split_folders import LOOKED_THROUGH
from pc_crvae.errors import UserError
from pc_crvae.utils.files import read_bytes

VERSION = 2

SUFFIXES = (".png", ".jpg", ".jpeg")
"""Of the files that are read; case does not matter."""

_MOST_FILE_BYTES = 1 << 28
_MOST_SPLIT_BYTES = 1 << 33


def read_split(root: Path, split: Split, card: Card) -> RawItems:
    """Read one split: images (n, C, H, W) uint8, 1 channel for grey and 3 for colour.

    Where the card states the shape of an image, each is brought to it: to grey by its luma or to
    three equal channels, then resized, bilinear with antialiasing, to the height and width,
    whatever its own ratio of them. Otherwise all must have one size, and all must be grey or all
    in colour. A photograph is turned as its camera notes.

    Raises:
        UserError: there are no images, or one is damaged, see-through, of another kind or unlike
            the others; the sentence names the file.
    """
    items, classes, passed_over = read_class_tree(root, split, SUFFIXES, card.classes)
    for reason, paths in passed_over.items():
        if reason == LOOKED_THROUGH:
            warnings.warn(f"{paths[0]} is {reason} of {root}", stacklevel=2)
    shape = card.image
    if shape is None:
        first = _decode(items[0].path)
        shape = ImageShape(channels=_channels(first), height=first.height, width=first.width)
    elif shape.channels not in (1, 3):
        raise UserError(f"{card.name} states {shape.channels} channels, where images have 1 or 3")
    images = _allocate(root, len(items), shape)
    for row, item in enumerate(items):
        image = _decode(item.path)
        if card.image is None:
            _check_same(image, item.path, shape, items[0].path)
        images[row] = _pixels(image, shape)
    known = [item.label for item in items if item.label is not None]
    labels = np.array(known, np.int64) if known else None
    return RawItems(images, labels, classes, tuple(item.id for item in items))


def source_paths(root: Path, split: Split, card: Card) -> list[Path]:
    """Return every path that :func:`read_split` looks at, whether it is there or not."""
    return class_tree_paths(root, SUFFIXES)


def _allocate(root: Path, count: int, shape: ImageShape) -> NDArray[np.uint8]:
    size = count * shape.channels * shape.height * shape.width
    if size > _MOST_SPLIT_BYTES:
        raise UserError(
            f"the {count} images of {root} take {size / 2**30:.0f} GiB at {shape.width}x"
            f"{shape.height} pixels, more than the {_MOST_SPLIT_BYTES >> 30} that are read: state "
            "a smaller image in a card of your own"
        )
    return np.empty((count, shape.channels, shape.height, shape.width), np.uint8)


def _decode(path: Path) -> Image.Image:
    """Return an image in one of the modes L and RGB."""
    content = read_bytes(path, _MOST_FILE_BYTES)
    return as_grey_or_rgb(decode_image(content, str(path), upright=True), str(path))


def _channels(image: Image.Image) -> int:
    return len(image.getbands())


def _check_same(image: Image.Image, path: Path, shape: ImageShape, first: Path) -> None:
    if image.size != (shape.width, shape.height):
        raise UserError(
            f"{path} has {image.width}x{image.height} pixels where {first} has {shape.width}x"
            f"{shape.height}: state the size they should have in a card of your own"
        )
    if _channels(image) != shape.channels:
        kinds = {1: "grey", 3: "in colour"}
        raise UserError(
            f"{path} is {kinds[_channels(image)]} where {first} is {kinds[shape.channels]}: state "
            "the channels they should have in a card of your own"
        )


def _pixels(image: Image.Image, shape: ImageShape) -> NDArray[np.uint8]:
    """Bring an image to a shape: (C, H, W)."""
    mode = "L" if shape.channels == 1 else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    size = (shape.width, shape.height)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    pixels = np.asarray(image).reshape(shape.height, shape.width, shape.channels)
    return pixels.transpose(2, 0, 1)
