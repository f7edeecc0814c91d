"""Reader of ``shapenetcore_partanno_segmentation_benchmark_v0_normal``: ShapeNetPart with normals.

A root holds ``synsetoffset2category.txt`` (a class name and its synset a line), a folder a synset
with ``<model>.txt``, and ``train_test_split/shuffled_{train,val,test}_file_list.json``, lists of
``shape_data/<synset>/<model>``. A file has lines ``x y z nx ny nz part``. Labels are the classes of
whole shapes; the labels of parts are not read, as nothing here learns to segment. The validation
shapes are in neither split.
"""

import re
from pathlib import Path

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.formats.cloud_files import load_points_and_normals as load_points
from pc_crvae.data.items import Item, Listing
from pc_crvae.data.readers.labels import labels_of
from pc_crvae.data.readers.name_lists import as_posix, read_json_names, read_lines
from pc_crvae.errors import UserError

VERSION = 1

__all__ = ["list_items", "load_points"]

_CLASSES = "synsetoffset2category.txt"
_ENTRY = re.compile(r"(?:[^/]+/)?([0-9]{8})/([\w-]+)", re.ASCII)


def list_items(root: Path, split: Split, card: Card) -> Listing:
    """List the shapes of a split, sorted by synset and model, and the card's classes.

    Ids are synset and model (``02691156/1a04e3ea``). A listed shape whose file is missing is an
    item too, so that whoever reads it says so.

    Raises:
        UserError: a list is missing or damaged, names a shape twice, or a class that is not the
            card's.
    """
    label_of = _labels(root / _CLASSES, card)
    path = root / "train_test_split" / f"shuffled_{split}_file_list.json"
    items: dict[str, Item] = {}
    for entry in read_json_names(path, "shape"):
        match = _ENTRY.fullmatch(as_posix(entry))
        if match is None:
            raise UserError(f"{path} lists {entry[:80]!r}, which names no synset and model")
        synset, model = match.groups()
        if synset not in label_of:
            raise UserError(f"{path} lists the synset {synset}, which {_CLASSES} does not name")
        name = f"{synset}/{model}"
        if name in items:
            raise UserError(f"{path} lists {name} twice")
        items[name] = Item(root / synset / f"{model}.txt", name, label_of[synset])
    if not items:
        raise UserError(f"{path} lists no shapes")
    return Listing([items[name] for name in sorted(items)], card.classes)


def _labels(path: Path, card: Card) -> dict[str, int]:
    """Return the label of each synset."""
    labels = {}
    for line in read_lines(path):
        words = line.split()
        if len(words) != 2:
            raise UserError(f"{path} should hold a class and a synset per line, not {line[:80]!r}")
        name, synset = words
        (labels[synset],) = labels_of([name], card, path)
    return labels
