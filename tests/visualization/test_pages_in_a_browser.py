"""The page of interpolations in a real browser, used by its keys and buttons."""

import numpy as np
import pytest

from helpers.browser import IN_THE_DARK, driven, needs_browser, used
from pc_crvae.visualization.pages import InterpolationPath, interpolation_page

pytestmark = [pytest.mark.slow, needs_browser]


@pytest.mark.parametrize(
    ("options", "paper"),
    [
        (["--window-size=1200,800"], "rgb(255, 255, 255)"),
        (["--window-size=390,844", *IN_THE_DARK], "rgb(20, 21, 31)"),
    ],
)
def test_it_turns_grows_steps_and_plays_and_asks_for_nothing(tmp_path, options, paper):
    start = np.random.default_rng(0).normal(size=(300, 3))
    clouds = np.stack([start * (1 + step / 4) for step in range(9)]).astype(np.float32)
    labels = ["a", *(f"{step / 8:.0%}" for step in range(1, 8)), "b"]
    path = InterpolationPath("a to b", clouds, labels, 4)
    interpolation_page([path, path], tmp_path / "page.html")
    page = driven(tmp_path / "page.html", "interpolation_driver.js", tmp_path / "driven.html")
    told = used(page.as_uri(), tmp_path / "profile", *options)
    assert told["errors"] == []
    assert told["requests"] == 0
    for what in ("turned", "grown", "stepped", "played", "reached"):
        assert told[what], what
    assert told["label"] == "25%"
    assert told["last"] == "8"
    assert told["play"] == "Play"
    assert told["paper"] == paper
    assert told["width"] <= 1200
