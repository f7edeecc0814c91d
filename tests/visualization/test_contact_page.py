import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from helpers.browser import IN_THE_DARK, driven, needs_browser, used
from pc_crvae.errors import UserError
from pc_crvae.visualization.contact_page import contact_page
from pc_crvae.visualization.contact_sheet import Tile


def cloud(seed=0, points=80):
    values = np.random.default_rng(seed).normal(size=(points, 3))
    return values / np.linalg.norm(values, axis=1).max()


def content_of(page):
    return json.loads(re.search(r'id="content">(.*?)</script>', page, re.DOTALL)[1])


def test_a_page_holds_its_pictures_and_loads_nothing(tmp_path):
    image = np.full((1, 8, 8), 7, dtype=np.uint8)
    points = cloud()
    rows = [[Tile("a", points), Tile("b", image)], [Tile("c"), Tile("d", points / 2)]]
    contact_page(rows, tmp_path / "page.html", row_titles=["first", "second"], title="Shapes")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    sources = re.findall(r'src="data:image/png;base64,([^"]*)"', page)
    pictures = [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in sources]
    assert len(pictures) == 2
    assert (pictures[0][:, :, :3] == 7).all(axis=2).sum() > 10_000
    for part, size in zip(content_of(page)["clouds"], (1, 0.5), strict=True):
        values = np.frombuffer(base64.b64decode(part["points"]), np.int8).reshape(-1, 3)
        np.testing.assert_allclose(values / 127, points * size, atol=0.5 / 127)
    assert page.count("<canvas") == 2
    assert "default-src 'none'" in page
    assert not re.search(r"https?:|<link|@import|src=\"(?!data:)", page)
    assert page.index("first") < page.index(">a<") < page.index("second") < page.index(">c<")


def test_a_page_without_clouds_runs_no_script(tmp_path):
    contact_page([[Tile("a")]], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "script-src" not in page


def test_hostile_texts_stay_texts(tmp_path):
    hostile = '"><script>alert(1)</script>$x'
    tile = Tile(hostile, cloud(), note=hostile, link=f"file:///{hostile}")
    contact_page([[tile]], tmp_path / "page.html", row_titles=[hostile], title=hostile)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert page.count("&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;$x") == 8


def test_a_page_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"could not write .*page\.html"):
        contact_page([[Tile("a", cloud())]], tmp_path / "file" / "page.html")


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize(
    ("options", "paper", "width"),
    [
        (["--window-size=1200,800"], "rgb(255, 255, 255)", 1200),
        (["--window-size=500,844", *IN_THE_DARK], "rgb(20, 21, 31)", 500),
    ],
)
def test_shapes_turn_and_names_lead_to_files(tmp_path, options, paper, width):
    tiles = [Tile(f"part {row}", cloud(row), link=f"file:///parts/{row}.stl") for row in range(9)]
    contact_page([[*tiles, Tile("nothing")]], tmp_path / "page.html")
    page = driven(tmp_path / "page.html", "contact_driver.js", tmp_path / "driven.html")
    told = used(page.as_uri(), tmp_path / "profile", *options)
    assert told["errors"] == []
    assert told["requests"] == 0
    for what in ("drawn", "turned", "reached"):
        assert told[what], what
    assert told["links"] == [tile.link for tile in tiles]
    assert told["width"] <= width
    assert told["paper"] == paper
