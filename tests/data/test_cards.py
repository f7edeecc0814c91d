import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pc_crvae.data.cards import card_names, load_card
from pc_crvae.data.shapes import CLASSES
from pc_crvae.errors import UserError
from pc_crvae.resources import resource_folder

CARD_FILE = resource_folder("datasets") / "modelnet40.yaml"


def _changed(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(CARD_FILE.read_text()) | changes))
    return path


@pytest.mark.parametrize("name", card_names())
def test_every_card_that_comes_with_the_package_is_valid(name: str):
    card = load_card(name)
    assert card.name == name
    assert len(set(card.classes)) == len(card.classes)
    assert set(card.splits) == {"train", "test"}


def test_the_known_sets_have_their_cards():
    assert {"shapes", "modelnet10", "modelnet40"} <= set(card_names())


def test_the_counts_are_those_of_the_official_splits():
    counts = {
        name: {split: part.count for split, part in load_card(name).splits.items()}
        for name in ("modelnet10", "modelnet40")
    }
    assert counts["modelnet10"] == {"train": 3991, "test": 908}
    assert counts["modelnet40"] == {"train": 9840, "test": 2468}


def test_the_card_of_shapes_lists_the_classes_that_are_made():
    assert load_card("shapes").classes == CLASSES


def test_a_card_of_ones_own_is_loaded_by_its_path(tmp_path: Path):
    path = _changed(tmp_path, title="Mine", classes=["cog", "cam"])
    assert (load_card(path).name, load_card(str(path)).classes) == ("mine", ("cog", "cam"))


def test_an_unknown_name_is_answered_with_the_nearest_and_all():
    with pytest.raises(UserError, match=r"called modelnet41, did you mean modelnet40 .*shapes"):
        load_card("modelnet41")


SOURCE = {"file": "a.zip", "urls": ["https://a.org/a.zip"], "sha256": None, "size": None}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"layuot": "shapes"}, "layuot is not a known key, did you mean layout?"),
        ({"points": "many"}, "points should be a valid integer, not 'many'"),
        ({"up": "w"}, "up should be 'x', 'y' or 'z', not 'w'"),
        ({"splits": {"train": {"cuont": 3}}}, "splits.train.cuont .* did you mean count?"),
        ({"splits": {"valid": {}}}, "splits.valid should be 'train' or 'test'"),
        ({"splits": {}}, "splits should have at least 1 item"),
        (
            {"sources": [SOURCE | {"unpack": True, "urls": ["x"]}]},
            "sources.0.urls.0 should match pattern",
        ),
        ({"sources": [SOURCE]}, "sources.0.unpack is missing"),
        (
            {"sources": [SOURCE | {"unpack": True, "file": "../a.zip"}]},
            "sources.0.file should match pattern",
        ),
        ({"sources": [SOURCE | {"unpack": True, "urls": []}]}, "source a.zip needs a url"),
        ({"gated": True, "sources": [SOURCE | {"unpack": True}]}, "a.zip has no urls"),
        ({"folder": None}, "needs folder and manual_steps"),
        ({"manual_steps": None}, "needs folder and manual_steps"),
        ({"classes": []}, "layout modelnet_hdf5 needs classes"),
        ({"classes": ["cog", "cog"]}, "two classes are equal"),
        ({"up": None}, "a set of points needs up"),
        ({"layout": "celeba"}, "layout celeba does not hold points"),
        ({"layout": "modelnet"}, "layout should be 'shapes', 'modelnet_hdf5', .*'image_folder'"),
        ({"modality": "images", "layout": "celeba"}, "takes neither up nor points"),
        ({"image": {"channels": 1, "height": 8, "width": 8}}, "takes no image"),
        ({"layout": "shapes"}, "reads no files, so it has neither folder nor sources"),
        (
            {"layout": "shapes", "folder": None, "sources": []},
            "of a generated set needs count and seed",
        ),
        (
            {"layout": "shapes", "folder": None, "sources": [], "points": None},
            "generated set needs points",
        ),
    ],
)
def test_a_malformed_card_is_told_by_file_key_and_problem(
    tmp_path: Path, changes: dict[str, object], problem: str
):
    path = _changed(tmp_path, **changes)
    with pytest.raises(UserError, match=rf"mine\.yaml: .*{problem}") as caught:
        load_card(path)
    assert "\n" not in str(caught.value)


def test_a_card_of_ones_own_may_leave_out_what_its_layout_does_not_need(tmp_path: Path):
    values = yaml.safe_load(CARD_FILE.read_text())
    for key in ("points", "folder", "sources", "classes"):
        del values[key]
    path = tmp_path / "mine.yaml"
    values |= {"layout": "mesh_folder", "folder": None, "sources": [], "classes": []}
    path.write_text(yaml.safe_dump(values))
    card = load_card(path)
    assert (card.variant, card.points, card.image, card.classes) == (None, None, None, ())


def test_importing_cards_does_not_import_torch():
    code = "import sys, pc_crvae.data.cards; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
