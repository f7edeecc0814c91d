"""The page of a collection in a real browser, used by its keys and buttons."""

import pytest
import trimesh

import pc_crvae
from helpers.bent_shapes import bracket
from helpers.browser import IN_THE_DARK, driven, needs_browser, used
from pc_crvae.collection.serving import serving
from pc_crvae.models.descriptors.descriptor import Descriptor
from pc_crvae.models.exports import write_export
from pc_crvae.runs.saved import SavedModel

pytestmark = [pytest.mark.slow, needs_browser]


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browsed")
    write_export(Descriptor("bps", frames="so3", points=128).eval(), folder / "model")
    for row in range(9):
        rod = trimesh.creation.cylinder(radius=0.1 + row / 20, height=2, sections=12)
        path = folder / "parts" / "rods" / f"rod{row}.off"
        path.parent.mkdir(parents=True, exist_ok=True)
        rod.export(path)
    for name in ("one.off", "two.stl"):
        bracket().export(folder / "parts" / name)
    (folder / "parts" / "<!--<script>.off").write_text("OFF\n")
    return pc_crvae.explore(folder / "parts", out=folder / "out", model=folder / "model")


@pytest.fixture(scope="module")
def page(explored):
    return driven(explored.page, "collection_driver.js", explored.out / "driven.html")


def test_keys_choose_buttons_zoom_filters_leave_some_and_nothing_is_asked_for(page, tmp_path):
    told = used(page.as_uri(), tmp_path, "--window-size=1280,900")
    assert told["errors"] == []
    assert told["requests"] == 0
    assert told["all"] == told["again"] == "11 of 11 shapes"
    assert told["filtered"] == "9 of 11 shapes"
    assert told["chosen"].startswith(str(page.parents[1] / "parts"))
    assert len(told["nearest"]) == 10
    assert told["next"].endswith((".off", ".stl"))
    assert told["next"] != told["chosen"]
    assert told["turned"]
    assert not told["droppable"]
    assert told["zoomed"]
    assert told["unreachable"] == []
    assert told["lastTab"] == ["Refused (1)", "Refused"]
    lists = dict(told["tabs"])
    assert "two has the geometry of one." in lists["Duplicates (1)"]
    assert "<!--<script>.off" in lists["Refused (1)"]
    assert told["dark"] == "rgb(255, 255, 255)"


def test_a_phone_in_the_dark_shows_all_of_it(page, tmp_path):
    told = used(
        page.as_uri(),
        tmp_path,
        "--window-size=390,844",
        *IN_THE_DARK,
    )
    assert told["errors"] == []
    assert told["dark"] == "rgb(20, 21, 31)"
    # Headless windows are 500 pixels wide at least; what is wider than the window would scroll.
    assert told["width"] <= 500


@pytest.mark.parametrize("options", [["--window-size=1280,900"], ["--window-size=390,844"]])
def test_a_file_dropped_on_the_served_page_finds_its_copy_first(explored, tmp_path, options):
    saved = SavedModel.open(explored.out.parent / "model", "last", device="cpu")
    upload = bracket().export(file_type="off")
    more = f'<script type="text/plain" id="upload">{upload}</script>'
    page = driven(explored.page, "dropping_driver.js", tmp_path / "driven.html", more)
    with serving(page, explored.collection.embeddings, saved) as address:
        told = used(address, tmp_path / "profile", *options)
    assert told["errors"] == []
    assert told["shown"]
    assert told["refused"].startswith("Refused: <b>bad.off")
    assert told["found"] == "11 shapes are nearest to mine.off."
    assert told["nearest"][0].startswith("one")
    assert "no pair is closer" in told["nearest"][0]
    assert str(explored.out.parent / "parts" / "one.off") in told["nearest"][0]
    assert told["picture"] > 3000
    assert told["chosen"] == str(explored.out.parent / "parts" / "one.off")
    assert "large.stl has more than 256 MB" in told["large"]
    assert told["width"] <= 1280
