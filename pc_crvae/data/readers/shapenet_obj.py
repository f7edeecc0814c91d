"""ShapeNetCore's meshes: ``<synset>/<model>/models/model_normalized.obj``, split by a list.

The variant ``v1`` has ``<synset>/<model>/model.obj``. The official ``all.csv`` says what belongs to
which split; its ``val`` is in neither.
"""

import csv
import re
from collections import defaultdict
from pathlib import Path

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.formats.meshes import load_points
from pc_crvae.data.items import Item, Listing
from pc_crvae.data.readers.synsets import SHAPENET_SYNSETS
from pc_crvae.errors import UserError, told

VERSION = 2

__all__ = ["list_items", "load_points"]

_LIST = "all.csv"
_COLUMNS = ("synsetId", "modelId", "split")
_FILES = {"v1": ("model.obj",), "v2": ("models", "model_normalized.obj")}
_TWO_SPLITS = "two"
_IN_NEITHER = {"val": "in the validation split", _TWO_SPLITS: "listed in two splits"}
_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


def list_items(root: Path, split: Split, card: Card) -> Listing:
    """List the shapes of a split, sorted by synset and model, and what was passed over.

    Synsets without a folder are passed over; a listed model without a file is an item, so that
    whoever reads it says what is missing.

    Raises:
        UserError: there is no folder of a synset, the list is missing or damaged, has nothing of
            the split, or names a synset that is not the card's.
    """
    parts = _FILES[card.variant or "v2"]
    items: list[Item] = []
    passed_over: defaultdict[str, list[Path]] = defaultdict(list)
    present = {synset for synset in SHAPENET_SYNSETS if (root / synset).is_dir()}
    if not present:
        raise UserError(
            f"{root} holds no folder of a synset, such as 02691156: is it the right folder?"
        )
    for synset, model, side in _rows(root / _LIST, card):
        path = (root / synset / model).joinpath(*parts)
        if side in _IN_NEITHER:
            passed_over[_IN_NEITHER[side]].append(path)
        elif side == split:
            name = SHAPENET_SYNSETS.get(synset)
            if name not in card.classes:
                raise UserError(
                    f"{root / _LIST} lists the synset {synset}, which is no class of {card.name}"
                )
            if synset in present:
                items.append(Item(path, f"{synset}/{model}", card.classes.index(name)))
            else:
                passed_over["of a synset that has no folder"].append(path)
    if not items:
        raise UserError(f"{root} has no items for the split {split}")
    others = {reason: tuple(paths) for reason, paths in passed_over.items()}
    return Listing(items, card.classes, others)


def _rows(path: Path, card: Card) -> list[tuple[str, str, str]]:
    """Return synset, model and split of each different line, sorted by synset and model."""
    with told(f"{path} cannot be read as a table", OSError, UnicodeDecodeError, csv.Error):
        if not path.exists():
            raise UserError(
                f"{path} is missing, which says what belongs to which split: {card.manual_steps}"
            )
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                raise UserError(f"{path} has no column {missing[0]}: is it the official list?")
            rows = [tuple(row[name] or "" for name in _COLUMNS) for row in table]
    models: dict[tuple[str, str], str] = {}
    for number, (synset, model, side) in enumerate(rows, 2):
        # Some copies of the list hold the synsets as numbers, without the zero in front.
        synset = synset.zfill(8)
        if not _NAME.fullmatch(model) or not _NAME.fullmatch(synset):
            raise UserError(f"{path}, line {number}, names no model: {synset} {model}")
        if side not in ("train", "val", "test"):
            raise UserError(f"{path}, line {number}, names no split: {side}")
        if models.setdefault((synset, model), side) != side:
            models[synset, model] = _TWO_SPLITS
    return [(synset, model, side) for (synset, model), side in sorted(models.items())]
