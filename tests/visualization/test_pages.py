import base64
import json
import re

import numpy as np

from pc_crvae.visualization.pages import InterpolationPath, interpolation_page


def _path(title: str = "a to b", label: str = "step") -> InterpolationPath:
    clouds = np.random.default_rng(0).normal(size=(4, 20, 3)).astype(np.float32)
    return InterpolationPath(title, clouds, [label] * 4)


def _content(page: str) -> dict:
    (found,) = re.findall(r'<script type="application/json" id="content">(.*?)</script>', page)
    return json.loads(found)


def test_a_page_holds_every_point_of_every_step_to_a_ten_thousandth(tmp_path) -> None:
    path = _path()
    interpolation_page([path, path], tmp_path / "page.html")
    content = _content((tmp_path / "page.html").read_text(encoding="utf-8"))
    radius = np.linalg.norm(path.clouds, axis=2).max()
    for stored in content["paths"]:
        values = np.frombuffer(base64.b64decode(stored["data"]), dtype="<i2")
        clouds = values.reshape(4, stored["points"], 3) * radius / 32767
        np.testing.assert_allclose(clouds, path.clouds, atol=1e-4)
        assert stored["labels"] == ["step"] * 4


def test_hostile_texts_stay_texts(tmp_path) -> None:
    hostile = '</script><script>alert("1")</script>&'
    interpolation_page([_path(hostile, hostile)], tmp_path / "page.html", title=hostile)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert 'alert("1")' not in re.sub(r'id="content">.*?</script>', "", page)
    assert "<script>alert" not in page
    assert "&lt;/script&gt;&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;&amp;</h1>" in page
    assert _content(page)["paths"][0]["title"] == hostile


def test_a_page_loads_nothing_and_is_small(tmp_path) -> None:
    interpolation_page([_path()], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert len(page) < 30_000
    assert not re.search(r"https?:|src\s*=|<link|@import", page)
    assert "default-src 'none'" in page
