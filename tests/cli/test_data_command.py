"""The command ``data`` on small sets made here, and on real ones where they are."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from helpers.tiny_hdf5 import CLASSES, write_hdf5
from pc_crvae.cli import main
from pc_crvae.data import load_clouds
from pc_crvae.data.cards import card_names, load_card
from pc_crvae.data.layouts import LAYOUTS

GOOD = "OFF\n4 2 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n3 0 1 3\n"
"""A mesh."""


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with no data anywhere but in the folder ``home``."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("PC_CRVAE_DATA", str(tmp_path / "home"))
    monkeypatch.setattr("pc_crvae.data.roots.checkout_folder", lambda: None)
    return tmp_path


@pytest.fixture
def tiny(workplace: Path) -> str:
    """The path of a card of 9 training and 3 test clouds, which are in their place."""
    values = load_card("modelnet40").model_dump(mode="json")
    counts = {"train": {"count": 9}, "test": {"count": 3}}
    values |= {"name": "tiny", "classes": list(CLASSES), "splits": counts, "folder": "tiny"}
    path = workplace / "tiny.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    (workplace / "home").mkdir()
    write_hdf5(workplace / "home" / "tiny")
    return str(path)


def _data(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(["data", *arguments]) == status
    told = capsys.readouterr()
    assert (told.err == "") == (status == 0)
    return told.out if status == 0 else told.err


def test_list_shows_every_set_and_where_it_is(
    capsys, workplace: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "300")
    place = workplace / "home" / load_card("modelnet10").folder
    place.mkdir(parents=True)
    lines = _data(capsys, "list", "--json", "list.json").splitlines()
    by_name = {line.split()[0]: line for line in lines[1:]}
    assert list(by_name) == card_names()
    assert str(place) in by_name["modelnet10"]
    assert "Academic research only" in by_name["modelnet10"]
    assert "not here" in by_name["modelnet40"]
    assert "generated" in by_name["shapes"]
    assert "yours" in by_name["mesh-folder"]
    assert "gated" in by_name["celeba"]
    assert "gated" not in by_name["mnist"]
    rows = {row["name"]: row for row in json.loads(Path("list.json").read_text())}
    assert rows["modelnet10"]["found"] == str(place)
    assert rows["modelnet40"]["found"] is None


@pytest.mark.parametrize("name", card_names())
def test_show_tells_all_a_card_says(capsys, name: str):
    card = load_card(name)
    text = " ".join(_data(capsys, "show", name).split())
    facts = [card.title, card.licence, card.split_rule, card.notes, card.manual_steps]
    facts += [card.citation, card.homepage, *card.known_defects]
    for source in card.sources:
        facts += [source.file, source.sha256 or "no checksum published", *source.urls]
    for fact in facts:
        assert fact is None or " ".join(fact.split()) in text
    assert ("passing on" in text) == (LAYOUTS[card.layout].origin != "own")


def test_show_writes_the_card_as_json(capsys):
    _data(capsys, "show", "mnist", "--json", "mnist.json")
    values = json.loads(Path("mnist.json").read_text())
    assert values.pop("found") is None
    assert values == load_card("mnist").model_dump(mode="json")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name one of the actions list, show, fetch,"),
        (["lits"], "there is no action lits: did you mean list?"),
        (["list", "--up", "z"], "unrecognized arguments: --up z"),
        (["list", "mnist"], "unrecognized arguments: mnist"),
        (["show"], "the following arguments are required: NAME"),
        (["check", "mnist", "--split", "test"], "unrecognized arguments: --split test"),
        (["stats", "mnist", "--strict"], "unrecognized arguments: --strict"),
        (["prune", "shapes"], "unrecognized arguments: shapes"),
        (["prune", "--strict"], "unrecognized arguments: --strict"),
        (["list", "--dry-run"], "unrecognized arguments: --dry-run"),
        (["preview", "shapes", "--normals"], "unrecognized arguments: --normals"),
        (["preview", "shapes", "--json", "x"], "unrecognized arguments: --json x"),
        (["preview", "shapes", "--per-class", "0"], "--per-class must be at least 1, not 0"),
        (["show", "modelnet41"], "no data set is called modelnet41, did you mean modelnet40"),
        (["check", "modelnet40"], "the data set modelnet40 is not there"),
        (["check", "mesh-folder"], "mesh-folder is a folder of your own"),
        (["fetch", "mesh-folder"], "mesh-folder is a folder of your own"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(capsys, arguments: list[str], sentence: str):
    error = _data(capsys, *arguments, status=2)
    assert sentence in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["shapenetcore_v2", "celeba", "modelnet10"])
def test_what_is_not_downloaded_is_told_by_hand(capsys, workplace: Path, name: str):
    card = load_card(name)
    place = workplace / "home" / card.folder
    error = _data(capsys, "fetch", name, status=2)
    assert card.manual_steps.rstrip(".") in error
    assert str(place) in error
    place.mkdir(parents=True)
    assert f"{name} is here already: {place}" in _data(capsys, "fetch", name)


def test_generated_shapes_need_no_fetching(capsys):
    assert "there is nothing to fetch" in _data(capsys, "fetch", "shapes")


def test_a_set_fetched_goes_where_it_is_looked_for(
    capsys, workplace: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = []

    def fetch(card, folder):
        asked.append((card.name, folder))
        return [folder / source.file for source in card.sources]

    module = SimpleNamespace(fetch=fetch)
    monkeypatch.setitem(sys.modules, "pc_crvae.data.fetching.download", module)
    text = _data(capsys, "fetch", "mnist")
    place = workplace / "home" / "mnist"
    assert str(place / "train-images-idx3-ubyte.gz") in text
    elsewhere = workplace / "elsewhere"
    _data(capsys, "fetch", "mnist", "--data-root", str(elsewhere))
    monkeypatch.delenv("PC_CRVAE_DATA")
    _data(capsys, "fetch", "mnist")
    assert asked == [
        ("mnist", place), ("mnist", elsewhere), ("mnist", Path.cwd() / "datasets" / "mnist")
    ]  # fmt: skip


def test_prepare_keeps_a_set_for_later(capsys, tiny: str, workplace: Path):
    text = _data(capsys, "prepare", tiny)
    assert text == "train: 9 items of 16 x 3\ntest: 3 items of 16 x 3\n"


def test_prune_says_what_it_removes_and_a_dry_run_only_says_it(
    capsys, tiny: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
):
    cache = workplace / "cache"
    monkeypatch.setenv("PC_CRVAE_CACHE", str(cache))
    _data(capsys, "prepare", tiny)
    (old,) = cache.glob("tiny-test-*-*")
    (workplace / "home" / "tiny" / "shape_names.txt").touch()
    _data(capsys, "prepare", tiny, "--split", "test")
    told = _data(capsys, "prune", "--dry-run")
    assert told.splitlines() == [
        f"would remove {old.name}, superseded by a later state: 0.0 MB",
        f"would remove 0.0 MB from {cache}",
    ]
    assert old.exists()
    assert _data(capsys, "prune") == told.replace("would remove", "removed")
    assert len(list(cache.glob("tiny-*-*-*"))) == 2
    _data(capsys, "prune", "--all")
    assert list(cache.iterdir()) == []


def test_files_that_cannot_be_used_are_refused_unless_allowed(capsys, workplace: Path):
    root = workplace / "mine"
    for split in ("train", "test"):
        (root / split).mkdir(parents=True)
        (root / split / "good.off").write_text(GOOD)
    (root / "train" / "bad.off").write_text("OFF\n")
    where = ["mesh-folder", "--data-root", str(root)]
    assert main(["data", "prepare", *where]) == 2
    told = capsys.readouterr()
    assert told.out == "test: 1 items of 2,048 x 3\n"  # which is no reason to stop
    assert "bad.off" in told.err
    assert "--allow-refused" in told.err
    assert main(["data", "prepare", *where, "--allow-refused"]) == 0
    assert capsys.readouterr().out == "train: 1 items of 2,048 x 3\ntest: 1 items of 2,048 x 3\n"
    assert main(["data", "prepare", *where, "--split", "test"]) == 0
    assert capsys.readouterr().out == "test: 1 items of 2,048 x 3\n"


def test_files_refused_in_both_splits_are_told_together(capsys, workplace: Path):
    root = workplace / "mine"
    for split in ("train", "test"):
        (root / split).mkdir(parents=True)
        (root / split / f"bad in {split}.off").write_text("OFF\n")
    (root / "train" / "good.off").write_text(GOOD)
    assert main(["data", "prepare", "mesh-folder", "--data-root", str(root)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: 1 of the 2 files of mesh-folder, split train, cannot be used")
    assert "bad in train.off" in error
    assert "; 1 of the 1 files of mesh-folder, split test, cannot be used" in error
    assert "bad in test.off" in error
    assert error.endswith("): repair or remove them")  # nothing of test is left without its file


def test_normals_are_prepared_where_they_are_asked_for(capsys, tiny: str, workplace: Path):
    for split in ("train", "test"):
        (workplace / "mine" / split).mkdir(parents=True)
        (workplace / "mine" / split / "good.off").write_text(GOOD)
    where = ["--data-root", str(workplace / "mine")]
    assert main(["data", "prepare", "mesh-folder", *where, "--normals", "--split", "test"]) == 0
    told = capsys.readouterr()
    assert told.out == "test: 1 items of 2,048 x 3, with normals\n"
    assert "1 shapes prepared" in told.err
    root = workplace / "mine"
    assert load_clouds("mesh-folder", "test", root=root, normals=True).normals is not None
    assert capsys.readouterr().err == ""  # it was there already
    assert "no normals are read of tiny" in _data(capsys, "prepare", tiny, "--normals", status=2)


def test_a_split_the_card_does_not_have_is_told(capsys, tiny: str):
    path = Path(tiny)
    values = yaml.safe_load(path.read_text())
    del values["splits"]["test"]
    path.write_text(yaml.safe_dump(values))
    assert "tiny has no split test" in _data(capsys, "stats", tiny, "--split", "test", status=2)


def test_check_tells_findings_and_fails_on_defects(capsys, tiny: str, workplace: Path):
    assert _data(capsys, "check", tiny).endswith("train 9, test 3\nno defects\n")
    (workplace / "home" / "tiny" / "ply_data_test0.h5").write_bytes(b"damaged")
    assert main(["data", "check", tiny, "--json", "check.json"]) == 2
    told = capsys.readouterr()
    assert "defect: test cannot be read: " in told.out
    assert told.err.endswith("error: tiny has a defect, told above\n")  # kernels may be compiled
    report = json.loads(Path("check.json").read_text())
    assert (report["defects"], report["counts"]) == (1, {"train": 9})


def test_a_cut_set_passes_unless_strict(capsys, tiny: str):
    path = Path(tiny)
    path.write_text(path.read_text().replace("count: 9", "count: 90"))
    assert "note: train has 9 of 90 items: a cut of the set" in _data(capsys, "check", tiny)
    assert "a defect" in _data(capsys, "check", tiny, "--strict", status=2)


def test_stats_count_and_measure(capsys, tiny: str):
    text = _data(capsys, "stats", tiny, "--json", "stats.json")
    assert "train: 9 items" in text
    heading, *rows = text.splitlines()[-4:]
    assert heading.startswith("items a class")
    assert len({len(line) for line in (heading, *rows)}) == 1
    assert [line.split() for line in text.splitlines()][-3:] == [
        ["bathtub", "3", "1"], ["bed", "3", "1"], ["chair", "3", "1"]
    ]  # fmt: skip
    assert json.loads(Path("stats.json").read_text())["splits"]["test"]["count"] == 3


def test_preview_draws_each_split(capsys, tiny: str):
    text = _data(capsys, "preview", tiny, "--per-class", "1", "--up", "z")
    paths = [Path(line) for line in text.splitlines()]
    names = ("train.png", "train.html", "test.png", "test.html")
    assert paths == [Path("previews") / "tiny" / name for name in names]
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    assert "bathtub (3)" in paths[1].read_text()


def test_data_elsewhere_is_named_with_an_option(capsys, tiny: str, workplace: Path):
    moved = (workplace / "home" / "tiny").rename(workplace / "moved")
    assert f"tiny in {moved}:" in _data(capsys, "check", tiny, "--data-root", str(moved))
    _data(capsys, "check", tiny, status=2)


@pytest.mark.parametrize(
    "name",
    [
        *("modelnet10", "mnist"),
        pytest.param("omniglot", marks=pytest.mark.slow),
        pytest.param("omniglot_background", marks=pytest.mark.slow),
    ],
)
def test_real_sets_pass(capsys, data_root: Path, name: str):
    folder = data_root / load_card(name).folder
    if not folder.is_dir():
        pytest.skip(f"{folder.name} is not under $PC_CRVAE_DATA")
    text = _data(capsys, "check", name, "--data-root", str(folder))
    assert text.endswith("no defects\n")
    assert text.count("a cut of the set") == 2
