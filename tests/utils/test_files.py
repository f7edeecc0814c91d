"""Where a file could not be written is said before there is anything to write."""

import os
from pathlib import Path

import pytest

from pc_crvae.errors import UserError
from pc_crvae.utils.files import atomic_path, require_writable


def test_a_place_for_a_file_is_let_pass_and_nothing_is_made(tmp_path, monkeypatch):
    (tmp_path / "old.json").touch()
    monkeypatch.chdir(tmp_path)
    for name in ("new.json", "old.json", "folder/within/new.json"):
        require_writable(tmp_path / name)
        require_writable(Path(name))
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]


def test_what_could_not_be_written_is_refused_as_it_would_be_afterwards(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "a.json", tmp_path / "file" / "b" / "a.json"):
        for write in (require_writable, _write):
            with pytest.raises(
                UserError, match=r"could not write .*a\.json: (Not a directory|File exists)"
            ):
                write(path)
    for write in (require_writable, _write):
        with pytest.raises(UserError, match="folder: Is a directory"):
            write(tmp_path / "folder")


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(os, "access", lambda path, mode: asked.append((path, mode)))
    with pytest.raises(UserError, match=r"could not write .*a\.json: Permission denied"):
        require_writable(tmp_path / "new" / "a.json")
    assert asked == [(tmp_path, os.W_OK | os.X_OK)]


def _write(path):
    with atomic_path(path) as temporary:
        temporary.touch()
