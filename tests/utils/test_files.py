"""Files are whole and on the disk before they count; what cannot be written is said beforehand."""

import os
from pathlib import Path

import pytest

from pc_crvae.errors import UserError
from pc_crvae.utils.files import atomic_folder, atomic_path, require_writable, temporaries


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


@pytest.fixture
def order(monkeypatch):
    """What is synced to the disk and what takes its name, in their order."""
    done = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor):
        done.append(("synced", Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    def noted_replace(path, target):
        done.append(("named", Path(target)))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    return done


def test_a_file_is_on_the_disk_before_it_takes_its_name_and_then_the_name(tmp_path, order):
    path = tmp_path / "a.json"
    with atomic_path(path) as temporary:
        temporary.write_text("{}")
    assert order == [("synced", temporary), ("named", path), ("synced", tmp_path)]


def test_a_folder_is_on_the_disk_before_it_takes_its_name(tmp_path, order):
    path = tmp_path / "state"
    for content in "ab":
        order.clear()
        with atomic_folder(path) as temporary:
            (temporary / "inner").mkdir()
            (temporary / "inner" / "file").write_text(content)
        synced = {temporary, temporary / "inner", temporary / "inner" / "file"}
        named = order.index(("named", path))
        assert synced <= {what for _, what in order[:named]}
        assert order[named + 1 :] == [("synced", tmp_path)]
        assert (path / "inner" / "file").read_text() == content
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_kill_leaves_is_found_by_the_name_it_was_to_have(tmp_path):
    left = []
    for name in ("model.safetensors", "epoch-0010.png"):
        with atomic_path(tmp_path / name) as temporary:
            temporary.touch()
            left.append(temporary)
    with atomic_folder(tmp_path / "best") as temporary:
        left.append(temporary)
    others = [tmp_path / name for name in (".model.safetensors", ".model-mine.safetensors", "best")]
    for path in (*left, *others[:2]):
        path.touch()
    assert temporaries(tmp_path, "model.safetensors") == left[:1]
    assert temporaries(tmp_path, "epoch-*.png") == left[1:2]
    assert temporaries(tmp_path, "best") == left[2:]
    assert temporaries(tmp_path / "nowhere", "best") == []


def _write(path):
    with atomic_path(path) as temporary:
        temporary.touch()
