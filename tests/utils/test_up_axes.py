from pathlib import Path

from pc_crvae.utils.up_axes import UpAxes, parse_up


def test_a_text_is_read_and_said_again_in_the_shortest_form():
    axes = parse_up(" Z, .GLB=y ,stl=z")
    assert axes == UpAxes("z", {".glb": "y", ".stl": "z"})
    assert axes.text == "z,glb=y"
    assert parse_up(axes.text).of(Path("a.GLB")) == "y"
    assert parse_up(None).text == ""


def test_what_is_said_of_all_goes_over_what_others_say_of_some():
    below = parse_up("z,glb=y")
    assert parse_up("x").over(below).text == "x"
    assert parse_up("stl=x").over(below).text == "z,glb=y,stl=x"
    assert parse_up("glb=z").over(below).text == "z"
