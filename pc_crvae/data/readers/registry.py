"""Which module reads which layout; each is imported when it is asked for."""

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.clouds import RawClouds
from pc_crvae.data.images import RawImages
from pc_crvae.data.items import Item, Sample
from pc_crvae.errors import UserError

_READERS = {
    "shapes": "generated_shapes",
    "modelnet_hdf5": "modelnet_hdf5",
    "shapenet_hdf5": "shapenet_hdf5",
    "scanobjectnn": "scanobjectnn",
    "mnist_idx": "mnist_idx",
    "omniglot_zip": "omniglot",
    "cifar10_binary": "cifar_binary",
    "celeba": "celeba",
    "digits": "digits",
    "image_folder": "image_folder",
}
_SHAPE_READERS = {
    "modelnet_off": "mesh_trees",
    "shapenet_obj": "mesh_trees",
    "mesh_folder": "mesh_trees",
    "cloud_folder": "cloud_trees",
    "modelnet_resampled": "resampled_text",
    "shapenet_15k": "shapenet_15k",
    "shapenet_part": "shapenet_part",
}

_WITH_NORMALS = {
    "modelnet_off",
    "shapenet_obj",
    "mesh_folder",
    "modelnet_resampled",
    "shapenet_part",
}


class Reader(Protocol):
    """A layout whose files hold a split as a whole; its root is None where it reads no files."""

    VERSION: int
    """Of the layout: raised where the same files are read as something else than before."""

    def read_split(self, root: Path | None, split: Split, card: Card) -> RawClouds | RawImages:
        """Read one split of the set that ``card`` describes, from the folder ``root``.

        Raises:
            UserError: a file is missing or damaged, or what it holds cannot be used; the
                sentence names the file and the defect.
        """

    def source_paths(self, root: Path | None, split: Split, card: Card) -> list[Path]:
        """Return every path that `read_split` looks at, whether it is there or not."""


class ShapeReader(Protocol):
    """A layout that keeps each shape in a file of its own."""

    VERSION: int
    """Of the layout: raised where the same files are read as something else than before."""

    def list_items(
        self, root: Path, split: Split, card: Card
    ) -> tuple[list[Item], tuple[str, ...]]:
        """List the shapes of one split in a fixed order, and the class names.

        Raises:
            UserError: a folder or list is missing or damaged, or holds nothing of the split.
        """

    def load_points(self, path: Path, count: int, rng: np.random.Generator) -> Sample:
        """Draw ``count`` points of a shape.

        Raises:
            UserError: the file is missing, damaged or holds nothing to draw from.
        """


def has_a_file_a_shape(card: Card) -> bool:
    """Whether the card's layout keeps each shape in a file of its own."""
    return card.layout in _SHAPE_READERS


def check_normals(card: Card) -> None:
    """Refuse a card whose layout no normals are read of.

    Raises:
        UserError: it is such a one.
    """
    if card.layout not in _WITH_NORMALS:
        having = ", ".join(sorted(_WITH_NORMALS))
        raise UserError(
            f"no normals are read of {card.name}, whose layout is {card.layout}: take it without, "
            f"or a set of one of the layouts {having}"
        )


def reader_of(card: Card) -> Reader:
    """Return the reader of a layout whose files hold a split as a whole."""
    return cast(Reader, import_module(f"pc_crvae.data.readers.{_READERS[card.layout]}"))


def shape_reader_of(card: Card) -> ShapeReader:
    """Return the reader of a layout that keeps each shape in a file of its own."""
    return cast(ShapeReader, import_module(f"pc_crvae.data.readers.{_SHAPE_READERS[card.layout]}"))
