"""Which module reads which layout; each is imported when it is asked for."""

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.clouds import RawClouds
from pc_crvae.data.images import RawImages

_READERS = {
    "shapes": "generated_shapes",
    "modelnet_hdf5": "modelnet_hdf5",
    "mnist_idx": "mnist_idx",
    "omniglot_zip": "omniglot",
    "cifar10_binary": "cifar_binary",
    "celeba": "celeba",
    "digits": "digits",
    "image_folder": "image_folder",
}


class Reader(Protocol):
    """A layout whose files hold a split as a whole; its root is None where it reads no files."""

    def read_split(self, root: Path | None, split: Split, card: Card) -> RawClouds | RawImages:
        """Read one split of the set that ``card`` describes, from the folder ``root``.

        Raises:
            UserError: a file is missing or damaged, or what it holds cannot be used; the
                sentence names the file and the defect.
        """

    def source_paths(self, root: Path | None, split: Split, card: Card) -> list[Path]:
        """Return every path that `read_split` looks at, whether it is there or not."""


def reader_of(card: Card) -> Reader:
    """Return the reader of the card's layout."""
    return cast(Reader, import_module(f"pc_crvae.data.readers.{_READERS[card.layout]}"))
