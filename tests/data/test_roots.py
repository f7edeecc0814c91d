from pathlib import Path

import pytest

from pc_crvae.data import roots
from pc_crvae.data.cards import load_card
from pc_crvae.data.fetching.record import FetchRecord, write_record
from pc_crvae.errors import UserError

CARD = load_card("modelnet10")


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and a checkout elsewhere, with no data anywhere."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.delenv("PC_CRVAE_DATA", raising=False)
    monkeypatch.setattr(roots, "checkout_folder", lambda: tmp_path / "checkout")
    return tmp_path


def _make(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def test_a_given_root_goes_before_all_others(workplace: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PC_CRVAE_DATA", str(workplace / "home"))
    _make(workplace / "home" / CARD.folder)
    mine = _make(workplace / "mine")
    assert roots.find_root(CARD, mine) == mine


def test_a_given_root_that_is_not_there_is_not_replaced_by_another(workplace: Path):
    _make(workplace / "work" / "datasets" / "modelnet10")
    with pytest.raises(UserError, match=r"looked for .*nowhere\)"):
        roots.find_root(CARD, workplace / "nowhere")


def test_defaults_are_tried_in_order(workplace: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PC_CRVAE_DATA", str(workplace / "home"))
    in_checkout = _make(workplace / "checkout" / "datasets" / "modelnet10")
    assert roots.find_root(CARD) == in_checkout
    in_work = _make(workplace / "work" / "datasets" / "modelnet10")
    assert roots.find_root(CARD) == in_work
    in_home = _make(workplace / "home" / CARD.folder)
    assert roots.find_root(CARD) == in_home


@pytest.mark.parametrize(
    "name", ["modelnet10", "modelnet40", "mnist", "shapenetcore_v2", "celeba", "shapenetpart"]
)
def test_missing_data_is_answered_with_where_to_get_it_and_where_to_put_it(name: str):
    card = load_card(name)
    with pytest.raises(UserError) as caught:
        roots.find_root(card)
    message = str(caught.value)
    urls = [url for source in card.sources for url in source.urls]
    where = ("$PC_CRVAE_DATA", f"datasets/{name}", "--data-root FOLDER", "data.root in a config")
    for needed in (*urls, card.manual_steps.rstrip("."), card.folder, *where):
        assert needed in message
    assert "\n" not in message


def test_a_folder_of_ones_own_is_asked_for(workplace: Path):
    card = CARD.model_copy(update={"name": "mine", "layout": "mesh_folder", "folder": None})
    with pytest.raises(UserError, match=r"mine is a folder of your own: .*--data-root FOLDER"):
        roots.find_root(card)
    with pytest.raises(UserError, match=r"of your own \(.*nowhere is not a folder\): "):
        roots.find_root(card, workplace / "nowhere")
    assert roots.find_root(card, _make(workplace / "mine")) == workplace / "mine"


def test_mirrors_are_offered_one_or_the_other():
    card = load_card("modelnet40")
    assert len(card.sources[0].urls) > 1
    assert f"get {' or '.join(card.sources[0].urls)}, unpack it" in card.how_to_get()


def test_a_folder_that_fetching_has_not_finished_is_refused(workplace: Path):
    mine = _make(workplace / "mine")
    write_record(mine, FetchRecord(unfinished=("modelnet10",)))
    with pytest.raises(UserError, match=r"mine does not hold all of modelnet10"):
        roots.find_root(CARD, mine)
    write_record(mine, FetchRecord())
    assert roots.find_root(CARD, mine) == mine


def test_a_generated_set_has_no_root():
    assert roots.find_root(load_card("shapes")) is None
    with pytest.raises(UserError, match=r"shapes is generated and reads no files: leave out"):
        roots.find_root(load_card("shapes"), Path("anywhere"))
