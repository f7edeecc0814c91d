import numpy as np
import pytest
from PIL import Image

from pc_crvae.errors import UserError
from pc_crvae.visualization.contact_sheet import (
    _CELL,
    Tile,
    _cut,
    _font,
    contact_sheet,
    rows_by_class,
)

CLASSES = ("cup", "bed", "car")


def cloud(seed=0, points=80):
    values = np.random.default_rng(seed).normal(size=(points, 3))
    return values / np.linalg.norm(values, axis=1).max()


def image(channels=1, side=8, value=255):
    return np.full((channels, side, side), value, dtype=np.uint8)


def drawn(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def ink_of_cells(path, rows, columns):
    """How many dark pixels the upper part of each cell of a sheet without titles holds."""
    pixels = drawn(path)
    height = pixels.shape[0] // rows
    dark = pixels.min(axis=2) < 190
    return np.array(
        [
            [
                dark[
                    row * height : row * height + 120, c * (_CELL + 8) : (c + 1) * (_CELL + 8)
                ].sum()
                for c in range(columns)
            ]
            for row in range(rows)
        ]
    )


def test_each_tile_is_drawn_in_its_place_and_rows_may_be_ragged(tmp_path):
    rows = [[Tile("a", cloud()), Tile("gone")], [], [Tile("b", image(value=0))]]
    contact_sheet(rows, tmp_path / "sheet.png")
    ink = ink_of_cells(tmp_path / "sheet.png", 3, 2)
    assert ink[0, 0] > 1500
    assert 0 < ink[0, 1] < 300  # only the words that say there is no picture
    assert ink[1].max() == 0
    assert ink[2, 0] > 5000
    assert ink[2, 1] == 0


def test_a_cloud_half_as_large_is_drawn_half_as_wide(tmp_path):
    side = np.linspace(-0.7, 0.7, 30)
    square = np.array([[x, y, 0.0] for x in side for y in side])
    contact_sheet([[Tile("", square), Tile("", 0.5 * square)]], tmp_path / "sheet.png")
    colored = np.ptp(drawn(tmp_path / "sheet.png"), axis=2).max(axis=0) > 60
    large, small = (
        np.ptp(np.flatnonzero(colored[start : start + _CELL])) for start in (8, 16 + _CELL)
    )
    assert 0.4 < small / large < 0.65


def test_a_small_image_keeps_its_pixels_and_gray_and_color_their_values(tmp_path):
    checks = np.indices((4, 4)).sum(axis=0) % 2
    gray = (checks[None] * 255).astype(np.uint8)
    red = np.stack([checks, 0 * checks, 0 * checks]).astype(np.float32)
    contact_sheet([[Tile("gray", gray), Tile("red", red)]], tmp_path / "sheet.png")
    pixels = drawn(tmp_path / "sheet.png")
    assert np.isin(pixels[14 : 14 + _CELL - 12, 14 : 14 + _CELL - 12], (0, 255)).all()
    side = (_CELL - 12) // 4
    left, top = 8 + 6 + side // 2, 8 + 6 + side // 2
    for row in range(4):
        for column in range(4):
            y, x = top + row * side, left + column * side
            assert pixels[y, x].tolist() == [255 * checks[row, column]] * 3
            assert pixels[y, x + _CELL + 8].tolist() == [255 * checks[row, column], 0, 0]


def test_a_large_image_is_shrunk_to_its_cell_in_proportion(tmp_path):
    wide = np.zeros((3, 200, 800), dtype=np.uint8)
    contact_sheet([[Tile("wide", wide)]], tmp_path / "sheet.png")
    black = drawn(tmp_path / "sheet.png").max(axis=2) == 0
    rows, columns = (np.flatnonzero(black.any(axis=axis)) for axis in (1, 0))
    assert len(columns) == _CELL - 12
    assert len(rows) == pytest.approx((_CELL - 12) / 4, abs=1)


def test_a_marked_tile_stands_out(tmp_path):
    contact_sheet([[Tile("a", cloud(), marked=True), Tile("a", cloud())]], tmp_path / "sheet.png")
    pixels = drawn(tmp_path / "sheet.png")
    assert (pixels[:, 8 : 8 + _CELL] != pixels[:, 16 + _CELL : 16 + 2 * _CELL]).mean() > 0.3


def test_a_long_text_is_cut_in_its_middle_to_fit():
    font = _font(12)
    long = "scans/chairs/" + "very_" * 300 + "old_0007.ply"
    shown = _cut(long, font, 160)
    assert font.getlength(shown) <= 160 < font.getlength(long)
    head, tail = shown.split("…")
    assert long.startswith(head)
    assert long.endswith(tail)
    assert abs(len(head) - len(tail)) <= 1
    assert _cut("chair\n1", font, 160) == "chair 1"


def test_the_same_tiles_give_the_same_bytes(tmp_path):
    rows = [[Tile("a", cloud(points=3000)), Tile("b", cloud(1))]]
    for name in ("one", "two"):
        contact_sheet(rows, tmp_path / f"{name}.png", title="t", row_titles=["r"])
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"item": np.zeros((4, 2))}, r"\(N, 3\)"),
        ({"item": np.full((4, 3), np.nan)}, "not finite"),
        ({"item": np.zeros((2, 4, 4), dtype=np.uint8)}, "1 or 3, H, W"),
        ({"item": np.zeros(4, dtype=np.uint8)}, "1 or 3, H, W"),
        ({"item": np.full((1, 4, 4), 1.5)}, r"\[0, 1\]"),
        ({"item": np.full((1, 4, 4), np.nan)}, r"\[0, 1\]"),
    ],
)
def test_malformed_tiles_are_refused(content, message):
    with pytest.raises(ValueError, match=message):
        Tile("tile", **content)


def test_a_sheet_that_cannot_be_written_is_a_user_error_naming_the_path(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"could not write .*sheet\.png"):
        contact_sheet([[Tile("a", cloud())]], tmp_path / "file" / "sheet.png")


def test_items_are_laid_out_by_class_at_random_but_repeatably():
    labels = np.array([0] * 20 + [2] * 3)
    rows, titles = rows_by_class(labels, CLASSES, 5)
    assert titles == ["cup (20)", "car (3)"]
    assert [len(row) for row in rows] == [5, 3]
    assert set(rows[0]) < set(range(20))
    assert rows[1] == [20, 21, 22]
    assert rows == rows_by_class(labels, CLASSES, 5)[0]
    assert rows != rows_by_class(labels, CLASSES, 5, seed=1)[0]


def test_unlabelled_items_fill_rows_without_titles():
    rows, titles = rows_by_class(11, per_class=4)
    assert titles is None
    assert [len(row) for row in rows] == [4, 4, 3]
    assert sorted(item for row in rows for item in row) == list(range(11))


def test_of_very_many_classes_some_are_drawn():
    rows, titles = rows_by_class(np.arange(3), CLASSES, most_classes=2)
    assert titles is not None
    assert len(rows) == len(titles) == 2


def test_a_tile_is_of_a_cloud_or_an_image_by_its_shape():
    assert Tile("a", cloud()).is_cloud
    assert not Tile("a", image()).is_cloud
