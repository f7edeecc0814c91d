import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from pc_crvae.data.cards import Card, card_names, load_card
from pc_crvae.data.layouts import LAYOUTS
from pc_crvae.data.procedural.shapes import CLASSES
from pc_crvae.data.readers.synsets import SHAPENET_SYNSETS
from pc_crvae.errors import UserError
from pc_crvae.utils.resources import resource_folder

CARD_FILE = resource_folder("datasets") / "modelnet40.yaml"


@cache
def _cards() -> dict[str, Card]:
    return {name: load_card(name) for name in card_names()}


def _changed(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(CARD_FILE.read_text()) | changes))
    return path


@pytest.mark.parametrize("name", card_names())
def test_every_card_that_comes_with_the_package_is_valid(name: str):
    card = _cards()[name]
    assert card.name == name
    assert set(card.splits) == {"train", "test"}
    for text in (card.title, card.licence, card.split_rule, card.notes):
        assert text.strip()
    for source in card.sources:
        assert len(set(source.urls)) == len(source.urls)
        # An archive with neither would be taken whatever it is.
        assert source.sha256 or source.unpack


@pytest.mark.parametrize(
    "names",
    [
        {"modelnet10", "modelnet10_off", "modelnet10_resampled"},
        {"modelnet40", "modelnet40_off", "modelnet40_resampled"},
        {"shapenetcore_v1", "shapenetcore_v2", "shapenetcore_v2_hdf5", "shapenetcore_v2_15k"},
        {"shapenetpart", "shapes", "mesh-folder", "cloud-folder"},
        {"scanobjectnn_obj_bg", "scanobjectnn_obj_only", "scanobjectnn_pb_t50_rs"},
        {"mnist", "fashion-mnist", "omniglot", "omniglot_background", "cifar10", "celeba"},
        {"digits", "image-folder"},
    ],
)
def test_the_sets_the_field_uses_have_their_cards(names: set[str]):
    assert names <= set(card_names())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_a_card(layout: str):
    assert layout in {card.layout for card in _cards().values()}


def test_sets_of_one_archive_agree_on_it():
    sources = [source for card in _cards().values() for source in card.sources]
    archives = {source.file: source for source in sources if source.unpack}
    assert all(archives[source.file] == source for source in sources if source.unpack)


def test_shapenet_is_asked_for_and_never_downloaded():
    for name in card_names():
        if name.startswith(("shapenetcore", "scanobjectnn", "celeba")):
            card = _cards()[name]
            assert card.gated
            assert "https://" in card.manual_steps
            assert not any(source.urls for source in card.sources)


def test_shapenetcore_s_forms_name_the_same_55_classes():
    for name in card_names():
        if name.startswith("shapenetcore"):
            assert _cards()[name].classes == tuple(sorted(SHAPENET_SYNSETS.values()))
    assert len(SHAPENET_SYNSETS) == 55


UP = {"modelnet_off": "z", "modelnet_resampled": "y", "shapenet_obj": "y", "shapenet_15k": "y"}


@pytest.mark.parametrize("name", card_names())
def test_the_up_axis_is_that_of_the_files(name: str):
    card = _cards()[name]
    assert card.up == UP.get(card.layout, card.up)


def test_the_counts_are_those_of_the_official_splits():
    counts = {
        name: {split: part.count for split, part in _cards()[name].splits.items()}
        for name in card_names()
    }
    for name in ("modelnet10", "modelnet10_off", "modelnet10_resampled"):
        assert counts[name] == {"train": 3991, "test": 908}
    for name in ("modelnet40_off", "modelnet40_resampled"):
        assert counts[name] == {"train": 9843, "test": 2468}
    assert counts["modelnet40"] == {"train": 9840, "test": 2468}
    assert sum(counts["shapenetpart"].values()) + 1870 == 16881
    assert counts["celeba"] == {"train": 162770, "test": 19962}
    assert sum(counts["omniglot"].values()) == 1623 * 20


def test_a_set_to_take_for_shared_classes_is_of_the_same_files():
    pairs = {name: card.with_shared_classes for name, card in _cards().items()}
    assert {name: other for name, other in pairs.items() if other is not None} == {
        "omniglot": "omniglot_background"
    }
    for name, other in pairs.items():
        if other is not None:
            assert _cards()[other].folder == _cards()[name].folder
            assert _cards()[other].layout == _cards()[name].layout


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
        (
            {"layout": "modelnet"},
            "layout should be 'shapes', 'programs', .* or 'image_folder', not 'modelnet'",
        ),
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


def test_importing_cards_imports_neither_torch_nor_readers():
    code = "import sys, pc_crvae.data.cards; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    imported = set(done.stdout.split())
    assert not imported & {"torch", "h5py", "PIL"}
    assert not imported & {f"pc_crvae.data.readers.{name}" for name in LAYOUTS}
