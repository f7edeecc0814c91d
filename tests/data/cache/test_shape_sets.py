from pathlib import Path

import pytest

from pc_crvae.data.cache.shape_sets import prepare_shapes
from pc_crvae.data.cards import load_card
from pc_crvae.errors import UserError

CARD = load_card("cloud-folder")


def _write_clouds(root: Path, scale: float = 1.0) -> Path:
    for split in ("train", "test"):
        folder = root / "cog" / split
        folder.mkdir(parents=True)
        lines = (f"{scale * i} {i % 7} {i % 5}\n" for i in range(100))
        (folder / "one.xyz").write_text("".join(lines))
    (root / "cog" / "train" / "readme.md").write_text("no cloud")
    return root


def test_as_many_points_are_drawn_as_the_card_says(tmp_path: Path):
    root = _write_clouds(tmp_path / "mine")
    for points in (32, 64):
        card = CARD.model_copy(update={"points": points})
        prepared = prepare_shapes(card, "train", root, "z", workers=1)
        assert prepared.clouds.points.shape == (1, points, 3)
        assert prepared.clouds.classes == ("cog",)
    card = CARD.model_copy(update={"points": None})
    assert prepare_shapes(card, "test", root, "z", workers=1).clouds.points.shape[1] == 2048


def test_folders_have_entries_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first, second = (_write_clouds(tmp_path / name) for name in ("first", "second"))
    card = CARD.model_copy(update={"points": 32})
    entries = {
        prepare_shapes(card, "train", root, "z", workers=1).entry for root in (first, second)
    }
    assert len(entries) == 2
    monkeypatch.chdir(first)
    assert prepare_shapes(card, "train", Path(), "z", workers=1).entry in entries


def test_what_lies_in_a_folder_and_is_no_shape_is_reported(tmp_path: Path):
    root = _write_clouds(tmp_path / "mine")
    card = CARD.model_copy(update={"points": 32})
    assert "readme.md" in prepare_shapes(card, "train", root, "z", workers=1).report.read_text()


def test_a_folder_of_another_layout_is_refused(tmp_path: Path):
    root = _write_clouds(tmp_path / "mine")
    with pytest.raises(UserError, match="synsetoffset2category"):
        prepare_shapes(load_card("shapenetpart"), "train", root, "y", workers=1)
