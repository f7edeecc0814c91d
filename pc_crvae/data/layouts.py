"""The table of layouts: what is known of each before its reader is imported.

A new layout takes a module of its name in the folder ``readers``, a row here, and a card that names
it.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast

from pc_crvae.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from pc_crvae.data.cards import Card, Split
    from pc_crvae.data.items import Listing, RawItems, Rows, Sample

Modality = Literal["points", "images"]


@dataclass(frozen=True)
class Layout:
    """How a data set lies on the disk, and what a card of it states.

    Attributes:
        holds: points or images.
        origin: ``published``, as files that the card says how to get; ``own``, as files in a
            folder of one's own; ``generated`` by the card's counts and seeds; or of a ``library``.
        a_file_a_shape: whether each shape has a file of its own, so that its module is a
            :class:`ShapeReader`; the others are a :class:`Reader`.
        normals: whether its shapes have normals.
        drops_nan: whether points that are NaN or infinite can be left out, by a function
            ``load_measured_points`` beside its ``load_points``.
        classes_of_card: whether its card has to name the classes; otherwise its files may name
            them, or it has none.
        endless: whether training goes on to other clouds in every epoch, so that its module is an
            :class:`EndlessReader` too.
    """

    holds: Modality
    origin: Literal["published", "own", "generated", "library"] = "published"
    a_file_a_shape: bool = False
    normals: bool = False
    drops_nan: bool = False
    classes_of_card: bool = True
    endless: bool = False

    @property
    def reads_files(self) -> bool:
        """Whether a set of it lies on the disk."""
        return self.origin in ("published", "own")


LAYOUTS = {
    "shapes": Layout("points", "generated"),
    "programs": Layout("points", "generated", classes_of_card=False, endless=True),
    "modelnet_hdf5": Layout("points"),
    "shapenet_hdf5": Layout("points"),
    "shapenet_15k": Layout("points", a_file_a_shape=True),
    "shapenet_part": Layout("points", a_file_a_shape=True, normals=True),
    "scanobjectnn": Layout("points"),
    "modelnet_off": Layout("points", a_file_a_shape=True, normals=True),
    "shapenet_obj": Layout("points", a_file_a_shape=True, normals=True),
    "mesh_folder": Layout(
        "points", "own", a_file_a_shape=True, normals=True, classes_of_card=False
    ),
    "cloud_folder": Layout(
        "points", "own", a_file_a_shape=True, drops_nan=True, classes_of_card=False
    ),
    "modelnet_resampled": Layout("points", a_file_a_shape=True, normals=True),
    "mnist_idx": Layout("images"),
    "omniglot_zip": Layout("images"),
    "cifar10_binary": Layout("images"),
    "celeba": Layout("images", classes_of_card=False),
    "digits": Layout("images", "library"),
    "image_folder": Layout("images", "own", classes_of_card=False),
}
"""Each layout by the name that a card gives, which is also that of the reader's module."""


class Reader(Protocol):
    """A layout that gives a split as a whole; its root is None where it reads no files."""

    VERSION: int
    """The version of the reader, raised where it reads the same files as something else."""

    def read_split(self, root: Path | None, split: "Split", card: "Card") -> "RawItems":
        """Read one split of the set that ``card`` describes, from the folder ``root``.

        Raises:
            UserError: a file is missing or damaged, or what it holds cannot be used; the
                sentence names the file and the defect.
        """

    def source_paths(self, root: Path, split: "Split", card: "Card") -> list[Path]:
        """Return every path that `read_split` looks at, whether it is there or not.

        It is not asked of a layout that reads no files, which may do without it.
        """


class EndlessReader(Reader, Protocol):
    """A layout that makes clouds by their number, without an end."""

    def endless(self, card: "Card", points: int) -> "tuple[Rows[np.float32], str]":
        """Return the clouds of the training split by number: (n, ``points``, 3), unlabelled.

        Those of a split are its first ones. Whoever asks for a number gets the same cloud.

        Returns:
            The clouds, and what fixes every one of them, such as the version of their maker and a
            seed.
        """


class ShapeReader(Protocol):
    """A layout that keeps each shape in a file of its own."""

    VERSION: int
    """The version of the reader, raised where it reads the same files as something else."""

    def list_items(self, root: Path, split: "Split", card: "Card") -> "Listing":
        """List the shapes of one split in a fixed order.

        Raises:
            UserError: a folder or list is missing or damaged, or holds nothing of the split.
        """

    def load_points(self, path: Path, count: int, rng: "np.random.Generator") -> "Sample":
        """Draw ``count`` points of a shape.

        Raises:
            UserError: the file is missing, damaged or holds nothing to draw from.
        """


def has_a_file_a_shape(card: "Card") -> bool:
    """Whether the card's layout keeps each shape in a file of its own."""
    return LAYOUTS[card.layout].a_file_a_shape


def check_normals(card: "Card") -> None:
    """Refuse a card whose layout has no normals.

    Raises:
        UserError: it is such a one.
    """
    if not LAYOUTS[card.layout].normals:
        having = ", ".join(sorted(name for name, layout in LAYOUTS.items() if layout.normals))
        raise UserError(
            f"no normals are read of {card.name}, whose layout is {card.layout}: take it without, "
            f"or a set of one of the layouts {having}"
        )


def reader_of(card: "Card") -> Reader:
    """Return the reader of a layout whose files hold a split as a whole."""
    return cast(Reader, import_module(f"pc_crvae.data.readers.{card.layout}"))


def endless_reader_of(card: "Card") -> EndlessReader | None:
    """Return the reader of a layout that has no end, None where the card's has one."""
    return cast(EndlessReader, reader_of(card)) if LAYOUTS[card.layout].endless else None


def shape_reader_of(card: "Card") -> ShapeReader:
    """Return the reader of a layout that keeps each shape in a file of its own."""
    return cast(ShapeReader, import_module(f"pc_crvae.data.readers.{card.layout}"))
