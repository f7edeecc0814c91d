"""The table of layouts: complete, and all that a new layout touches beside its reader and card."""

import textwrap
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from pc_crvae.cli import main
from pc_crvae.data import load, readers
from pc_crvae.data.inspection.checks import check
from pc_crvae.data.inspection.summaries import summarize
from pc_crvae.data.layouts import LAYOUTS, Layout
from pc_crvae.errors import UserError

CARD = """
title: Toys
modality: points
homepage: null
licence: Ours.
redistributable: true
gated: false
citation: null
sources: []
manual_steps: take them out of the box
layout: {layout}
folder: toys
up: "y"
points: 30
classes: [cog, cam]
splits: {{train: {{count: 3}}, test: {{count: 3}}}}
split_rule: By folder.
known_defects: []
notes: Wooden.
"""
WHOLE = """
import numpy as np
from pc_crvae.data.items import RawItems

VERSION = 1

def read_split(root, split, card):
    points = np.load(root / f"{split}.npy")
    ids = tuple(f"{split}/{row}" for row in range(len(points)))
    return RawItems(points, np.arange(len(points)) % 2, card.classes, ids)

def source_paths(root, split, card):
    return [root / f"{split}.npy"]
"""
A_FILE_A_SHAPE = """
from pc_crvae.data.formats.cloud_files import load_points
from pc_crvae.data.items import Item, Listing

VERSION = 1

def list_items(root, split, card):
    paths = sorted((root / split).iterdir())
    return Listing([Item(path, path.stem, row % 2) for row, path in enumerate(paths)], card.classes)
"""


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_module_of_a_layout_reads_it(name: str):
    reader = import_module(f"pc_crvae.data.readers.{name}")
    functions = ["read_split"]
    if LAYOUTS[name].a_file_a_shape:
        functions = ["list_items", "load_points"]
    elif LAYOUTS[name].reads_files:
        functions.append("source_paths")
    if LAYOUTS[name].drops_nan:
        functions.append("load_measured_points")
    assert reader.VERSION >= 1
    assert all(callable(getattr(reader, function)) for function in functions)


@pytest.mark.parametrize("a_file_a_shape", [False, True])
def test_a_new_layout_takes_a_reader_a_row_and_a_card(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    a_file_a_shape: bool,
):
    name = f"toy_{a_file_a_shape}".lower()
    monkeypatch.setattr(readers, "__path__", [*readers.__path__, str(tmp_path)])
    (tmp_path / f"{name}.py").write_text(A_FILE_A_SHAPE if a_file_a_shape else WHOLE)
    monkeypatch.setitem(LAYOUTS, name, Layout("points", a_file_a_shape=a_file_a_shape))
    card = tmp_path / "toys.yaml"
    card.write_text(textwrap.dedent(CARD).format(layout=name))

    root = tmp_path / "box"
    points = np.random.default_rng(0).normal(size=(6, 40, 3))
    for split, part in (("train", points[:3]), ("test", points[3:])):
        (root / split).mkdir(parents=True)
        np.save(root / f"{split}.npy", part)
        for row, cloud in enumerate(part):
            np.save(root / split / f"{row}.npy", cloud)

    where = ["--data-root", str(root)]
    assert main(["data", "prepare", str(card), *where]) == 0
    assert main(["data", "show", str(card)]) == 0
    assert f"layout      {name}" in capsys.readouterr().out
    clouds = load(card, "train", root=root)
    assert clouds.points.shape == (3, 30 if a_file_a_shape else 40, 3)
    assert clouds.labels.tolist() == [0, 1, 0]
    assert summarize(card, root=root)["splits"]["test"]["per_class"] == {"cog": 2, "cam": 1}
    assert check(card, root=root).defects == []
    with pytest.raises(UserError, match=f"whose layout is {name}: take it without"):
        load(card, "train", root=root, normals=True)
