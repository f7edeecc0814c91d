"""The page of a collection in a real browser, used by its keys and buttons."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import trimesh

import pc_crvae
from helpers.bent_shapes import bracket
from pc_crvae.collection.serving import serving
from pc_crvae.models.descriptors.descriptor import Descriptor
from pc_crvae.models.pretrained import write_export
from pc_crvae.runs.saved import SavedModel

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
HELPERS = Path(__file__).parents[1] / "helpers"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed"),
]


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


def driven(page, driver, target, more=""):
    """Write a page with what listens for errors before its script, and a driver after it."""
    text = page.read_text(encoding="utf-8")
    heed = "<script>window.errors = []; onerror = text => errors.push(text)</script><style>"
    script = f"{more}<script>{(HELPERS / driver).read_text()}</script></body>"
    text = text.replace("<style>", heed, 1).replace("</body>", script)
    target.write_text(text, encoding="utf-8")
    return target


@pytest.fixture(scope="module")
def page(explored):
    return driven(explored.page, "collection_driver.js", explored.out / "driven.html")


def used(address, profile, *options):
    """What the driver tells of the page in a window of the given options; nothing else is said."""
    assert BROWSER is not None
    done = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *(f"--user-data-dir={profile}", "--virtual-time-budget=20000", "--dump-dom"),
            *("--run-all-compositor-stages-before-draw", "--enable-logging=stderr"),
            *(*options, address),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stdout[-2000:]
    assert "CONSOLE" not in done.stderr, done.stderr
    return json.loads(html.unescape(found[1]))


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
    lists = dict(told["tabs"])
    assert "two has the geometry of one." in lists["Duplicates (1)"]
    assert "<!--<script>.off" in lists["Refused (1)"]
    assert told["dark"] == "rgb(255, 255, 255)"


def test_a_phone_in_the_dark_shows_all_of_it(page, tmp_path):
    told = used(
        page.as_uri(),
        tmp_path,
        "--window-size=390,844",
        "--blink-settings=preferredColorScheme=0",
        "--force-dark-mode",
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
