"""What contributors are told of the rooms is what there is."""

import re
import tomllib

import pytest

from pc_crvae.utils.resources import checkout_folder

CHECKOUT = checkout_folder()
pytestmark = pytest.mark.skipif(CHECKOUT is None, reason="an installed package has no pages")


def order_of_the_contract():
    """Rooms by their layer, the highest first."""
    tool = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(c for c in tool["contracts"] if c["type"] == "layers")["layers"]
    return {
        room: height
        for height, layer in enumerate(layers)
        for room in re.findall(r"\w+", re.sub(r"\(\w+\)", "", layer))
    }


def test_the_rooms_are_listed_as_the_contract_has_them_and_each_is_there():
    text = (CHECKOUT / "CONTRIBUTING.md").read_text()
    lines = re.findall(r"^- (.*(?:\n  .*)*)", text, re.MULTILINE)
    listed = [re.findall(r"`(\w+)`", line.partition(": ")[0]) for line in lines]
    heights = order_of_the_contract()
    assert sorted(room for line in listed for room in line) == sorted(heights)
    order = [heights[room] for line in listed for room in line]
    assert order == sorted(order)
    for room in heights:
        place = CHECKOUT / "pc_crvae" / room
        assert place.is_dir() or place.with_suffix(".py").is_file()


def test_few_modules_lie_loose():
    loose = {path.stem for path in (CHECKOUT / "pc_crvae").glob("*.py")}
    assert loose <= {"__init__", "__main__", "api", "errors", "version"}
