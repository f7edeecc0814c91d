"""Trees of meshes, a file a shape: ModelNet's, ShapeNetCore's, and folders of one's own.

Each lists what it holds; :func:`pc_crvae.data.formats.meshes.load_points` reads a file of it.
"""

import csv
import re
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.formats.meshes import SUFFIXES, load_points
from pc_crvae.data.items import Item
from pc_crvae.data.readers.class_tree import ClassTree, class_tree_paths, read_class_tree
from pc_crvae.data.readers.synsets import SHAPENET_SYNSETS
from pc_crvae.errors import UserError

VERSION = 1

__all__ = ["list_items", "load_points", "read_tree", "source_paths"]

_SHAPENET_LIST = "all.csv"
_SHAPENET_COLUMNS = ("synsetId", "modelId", "split")
_SHAPENET_FILES = {"v1": ("model.obj",), "v2": ("models", "model_normalized.obj")}
_TWO_SPLITS = "two"
_IN_NEITHER = {"val": "in the validation split", _TWO_SPLITS: "listed in two splits"}
_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


def list_items(root: Path, split: Split, card: Card) -> tuple[list[Item], tuple[str, ...]]:
    """List the shapes of a split, in a fixed order, and the class names.

    Raises:
        UserError: as :func:`read_tree`.
    """
    tree = read_tree(root, split, card)
    return tree.items, tree.classes


def read_tree(root: Path, split: Split, card: Card) -> ClassTree:
    """List the shapes of a split, the class names, and what was passed over.

    The layouts are

    - ``modelnet_off``: ``<class>/<split>/<id>.off``, ids without folders;
    - ``shapenet_obj``: ``<synset>/<model>/models/model_normalized.obj``, or in the variant ``v1``
      ``<synset>/<model>/model.obj``, split as the official ``all.csv`` says, whose ``val`` is in
      neither split. Synsets without a folder are passed over; a listed model without a file is
      an item, so that whoever reads it says what is missing;
    - ``mesh_folder``: the trees of :mod:`pc_crvae.data.readers.class_tree`.

    Raises:
        UserError: a folder or the list is missing or cannot be read, holds nothing of the split,
            or names a class that is not the card's.
    """
    match card.layout:
        case "modelnet_off":
            return _modelnet(root, split, card)
        case "shapenet_obj":
            return _shapenet(root, split, card)
        case "mesh_folder":
            return read_class_tree(root, split, SUFFIXES, card.classes)
    raise ValueError(f"{card.layout} is no tree of meshes")


def source_paths(root: Path, split: Split, card: Card) -> list[Path]:
    """Return every path that :func:`list_items` and the reading of its items look at."""
    if card.layout == "mesh_folder":
        return class_tree_paths(root, SUFFIXES)
    folders = [root, *(root / name for name in card.classes)]
    if card.layout == "modelnet_off":
        folders += [root / name / split for name in card.classes]
    else:
        folders = [root / _SHAPENET_LIST, *(root / synset for synset in SHAPENET_SYNSETS)]
    with suppress(UserError):  # which list_items raises in its turn
        folders += [item.path for item in list_items(root, split, card)[0]]
    return folders


def _modelnet(root: Path, split: Split, card: Card) -> ClassTree:
    tree = read_class_tree(root, split, {".off"}, card.classes)
    astray = [item for item in tree.items if item.path.parts[-2:-1] != (split,)]
    if astray or any(item.label is None for item in tree.items):
        path = (astray or tree.items)[0].path
        raise UserError(
            f"{path} is not where a mesh of {card.name} belongs, which is <class>/{split}/<id>.off "
            f"below {root}: is it the folder with the class folders?"
        )
    names = [item.path.stem for item in tree.items]
    if max(Counter(names).values()) > 1:
        return tree
    items = [replace(item, id=name) for item, name in zip(tree.items, names, strict=True)]
    return replace(tree, items=items)


def _shapenet(root: Path, split: Split, card: Card) -> ClassTree:
    parts = _SHAPENET_FILES[card.variant or "v2"]
    items: list[Item] = []
    passed_over: defaultdict[str, list[Path]] = defaultdict(list)
    present = {synset for synset in SHAPENET_SYNSETS if (root / synset).is_dir()}
    if not present:
        raise UserError(
            f"{root} holds no folder of a synset, such as 02691156: is it the right folder?"
        )
    for synset, model, side in _shapenet_list(root / _SHAPENET_LIST, card):
        path = (root / synset / model).joinpath(*parts)
        if side in _IN_NEITHER:
            passed_over[_IN_NEITHER[side]].append(path)
        elif side == split:
            name = SHAPENET_SYNSETS.get(synset)
            if name not in card.classes:
                raise UserError(
                    f"{root / _SHAPENET_LIST} lists the synset {synset}, which is no class of "
                    f"{card.name}"
                )
            if synset in present:
                items.append(Item(path, f"{synset}/{model}", card.classes.index(name)))
            else:
                passed_over["of a synset that has no folder"].append(path)
    if not items:
        raise UserError(f"{root} has no items for the split {split}")
    return ClassTree(
        items, card.classes, {reason: tuple(paths) for reason, paths in passed_over.items()}
    )


def _shapenet_list(path: Path, card: Card) -> list[tuple[str, str, str]]:
    """Return synset, model and split of each different line, sorted by synset and model."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            missing = [name for name in _SHAPENET_COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                raise UserError(f"{path} has no column {missing[0]}: is it the official list?")
            rows = [tuple(row[name] or "" for name in _SHAPENET_COLUMNS) for row in table]
    except FileNotFoundError as error:
        raise UserError(
            f"{path} is missing, which says what belongs to which split: {card.manual_steps}"
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a table: {error}") from error
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
