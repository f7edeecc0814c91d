import json
from pathlib import Path

import pytest

from pc_crvae.data.readers.name_lists import is_name, read_json_names, read_lines
from pc_crvae.errors import UserError


def test_lines_come_stripped_and_without_blank_ones(tmp_path: Path):
    path = tmp_path / "names.txt"
    path.write_bytes(b"bed\r\n\n  night stand \n\xc3\xa9tag\xc3\xa8re")
    assert read_lines(path) == ["bed", "night stand", "étagère"]


def test_names_of_a_json_list_come_in_order(tmp_path: Path):
    path = tmp_path / "names.json"
    path.write_text('["bed", "a/b.ply", "bed"]')
    assert read_json_names(path, "mesh") == ["bed", "a/b.ply", "bed"]


@pytest.mark.parametrize("name", ["a\nb", "a\0", "\ud800", "a\u2028b", "é" * 128])
def test_what_cannot_be_stored_or_told_in_a_line_is_no_name(tmp_path: Path, name: str):
    assert not is_name(name)
    assert is_name("é" * 127)
    path = tmp_path / "names.json"
    path.write_text(json.dumps(["bed", name]))
    with pytest.raises(UserError, match=r"names\.json should hold a list of mesh names"):
        read_json_names(path, "mesh")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff", "cannot be read as text"),
        (b"bed\n" + b"x" * 256, "has a line that is none"),
        (b"bed\na\0b", "has a line that is none"),
    ],
)
def test_lists_that_cannot_be_used_are_named(tmp_path: Path, content: bytes, problem: str):
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"names\.txt .*{problem}"):
        read_lines(path)


@pytest.mark.parametrize("content", ["[", "[" * 100_000, '["a", 1]', "{}", '"a"'])
def test_json_that_is_no_list_of_names_is_named(tmp_path: Path, content: str):
    path = tmp_path / "names.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"names\.json (cannot be read as JSON|should hold a list)"):
        read_json_names(path, "mesh")


def test_what_is_missing_or_a_folder_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"gone\.txt is missing"):
        read_lines(tmp_path / "gone.txt")
    with pytest.raises(UserError, match="cannot be read as text"):
        read_json_names(tmp_path, "mesh")
