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


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"layuot": "shapes"}, "layuot is not a known key, did you mean layout?"),
        ({"points": "many"}, "points should be a valid integer, not 'many'"),
        ({"up": "w"}, "up should be 'x', 'y' or 'z', not 'w'"),
        ({"splits": {"train": {"cuont": 3}}}, "splits.train.cuont .* did you mean count?"),
        ({"splits": {"valid": {}}}, "splits.valid should be 'train' or 'test'"),
        (
            {"sources": [{"url": "x", "sha256": None, "size": None}]},
            "sources.0.url should match pattern",
        ),
        ({"sources": []}, "needs folder, sources and manual_steps"),
        ({"layout": "shapes"}, "of a generated set needs count and seed"),
    ],
)
def test_a_malformed_card_is_told_by_file_key_and_problem(
    tmp_path: Path, changes: dict[str, object], problem: str
):
    path = _changed(tmp_path, **changes)
    with pytest.raises(UserError, match=rf"mine\.yaml: .*{problem}") as caught:
        load_card(path)
    assert "\n" not in str(caught.value)


def test_importing_cards_does_not_import_torch():
    code = "import sys, pc_crvae.data.cards; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
