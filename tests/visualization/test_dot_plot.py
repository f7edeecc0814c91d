import pytest
from matplotlib.image import imread

from pc_crvae.visualization.dot_plot import Dots, Panel, dot_plot


def test_every_kind_of_dots_is_drawn_in_a_colour_of_its_own(tmp_path):
    panel = Panel("aligned", [Dots("a", [1, 2], "mean"), Dots("a", [3, 4], "pooled")], "per cent")
    dot_plot([panel], tmp_path / "two.png")
    dot_plot([Panel("aligned", [Dots("a", [1, 2, 3])])], tmp_path / "one.png")
    blue = [
        ((imread(tmp_path / name)[..., :3] * 255).round() == (0x5B, 0x7A, 0xA6)).all(axis=2).any()
        for name in ("two.png", "one.png")
    ]
    assert blue == [True, False]


def test_panels_beyond_three_go_to_a_second_row(tmp_path):
    panels = [Panel(str(place), [Dots("a", [place])]) for place in range(4)]
    for count in (3, 4):
        dot_plot(panels[:count], tmp_path / f"{count}.png")
    three, four = (imread(tmp_path / f"{count}.png").shape for count in (3, 4))
    assert four[0] > 1.3 * three[0]
    assert abs(four[1] - three[1]) < 60


def test_nothing_to_draw_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        dot_plot([Panel("aligned", [])], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
