"""Archives of every kind are unpacked whole, or leave nothing."""

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from helpers.archive_writers import (
    SUFFIXES,
    TREE,
    Refused,
    file_in_tar,
    make,
    make_tar,
    make_zip,
    special_in_tar,
    tree_of,
)
from pc_crvae.data.fetching import archives
from pc_crvae.data.fetching.archives import unpack
from pc_crvae.errors import UserError


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_archive_is_unpacked_whole(tmp_path: Path, place: Path, suffix: str):
    unpack(make(tmp_path / f"set{suffix}", TREE), place / "new" / "set")
    assert tree_of(place / "new" / "set") == TREE
    assert list((place / "new").iterdir()) == [place / "new" / "set"]


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_the_kind_is_told_by_the_content_not_the_name(tmp_path: Path, place: Path, suffix: str):
    archive = make(tmp_path / f"set{suffix}", TREE).rename(tmp_path / "download.bin")
    unpack(archive, place / "set")
    assert tree_of(place / "set") == TREE


def test_a_folder_that_is_there_is_replaced_as_a_whole(tmp_path: Path, place: Path):
    (place / "set").mkdir()
    (place / "set" / "old").touch()
    unpack(make_zip(tmp_path / "set.zip", TREE), place / "set")
    assert tree_of(place / "set") == TREE


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_the_one_folder_at_the_top_is_lifted_where_it_has_the_name_asked_for(
    tmp_path: Path, place: Path, suffix: str
):
    archive = make(tmp_path / f"set{suffix}", TREE | {"set/set/inner": b"!"})
    unpack(archive, place / "lifted", strip="set")
    assert set(tree_of(place / "lifted")) == {"train.txt", "chair/1.off", "empty", "set/inner"}
    unpack(archive, place / "kept", strip="other")
    assert "set/train.txt" in tree_of(place / "kept")
    beside = make(tmp_path / f"beside{suffix}", TREE | {"README": b"hello"})
    unpack(beside, place / "beside", strip="set")
    assert "set/train.txt" in tree_of(place / "beside")


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_rubbish_of_macos_is_left_out(tmp_path: Path, place: Path, suffix: str):
    rubbish = {"__MACOSX/set/._train.txt": b"?", "set/.DS_Store": b"?", "set/chair/._1.off": b"?"}
    archive = make(tmp_path / f"set{suffix}", TREE | rubbish)
    unpack(archive, place / "set", strip="set")
    assert set(tree_of(place / "set")) == {"train.txt", "chair/1.off", "empty"}


def test_folders_and_dots_in_names_are_harmless(tmp_path: Path, place: Path):
    folders = [special_in_tar("./", tarfile.DIRTYPE), special_in_tar("./set", tarfile.DIRTYPE),
               special_in_tar("./set", tarfile.DIRTYPE)]  # fmt: skip
    unpack(
        make_tar(tmp_path / "set.tar", [*folders, file_in_tar("./set//a..b", b"1")]), place / "s"
    )
    assert tree_of(place / "s") == {"set/a..b": b"1"}
    zipped = make_zip(tmp_path / "set.zip", {"set/": b"", "set/none/": b"", "set/a": b"1"})
    unpack(zipped, place / "z")
    assert (place / "z" / "set" / "none").is_dir()


def test_long_names_of_the_newer_tar_headers_are_read(tmp_path: Path, place: Path):
    name = "/".join(["folder" * 10] * 4) + "/shape.off"
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        with tarfile.open(tmp_path / "set.tar", "w", format=form) as archive:
            archive.addfile(tarfile.TarInfo(name))
        unpack(tmp_path / "set.tar", place / "set")
        assert tree_of(place / "set") == {name: b""}


def test_an_encrypted_zip_is_refused(tmp_path: Path, refused: Refused):
    archive = make_zip(tmp_path / "set.zip", {"set/a": b"1"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    assert "encrypted" in refused(archive)


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_an_archive_without_a_file_is_refused(tmp_path: Path, refused: Refused, suffix: str):
    assert "holds no file" in refused(make(tmp_path / f"set{suffix}", {}))


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>Moved</html>", os.urandom(2000)])
def test_what_is_no_archive_is_refused(tmp_path: Path, refused: Refused, content: bytes):
    (tmp_path / "set.zip").write_bytes(content)
    assert "neither a zip nor a tar" in refused(tmp_path / "set.zip")


def test_an_archive_that_is_not_there_is_told(tmp_path: Path, refused: Refused):
    assert "not a file" in refused(tmp_path / "set.zip")


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_too_small_a_disk_is_told_before_anything_is_written(
    tmp_path: Path, refused: Refused, suffix: str, monkeypatch: pytest.MonkeyPatch
):
    archive = make(tmp_path / f"set{suffix}", TREE)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 8, 1))
    monkeypatch.setattr(archives, "_write", lambda *_: pytest.fail("written"))
    assert "the disk of" in refused(archive)


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_disk_that_fills_up_meanwhile_leaves_nothing(
    tmp_path: Path, place: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
):
    archive = make(tmp_path / f"set{suffix}", TREE)
    to_full = Path("/dev/full")
    original = Path.open

    def open_full(self: Path, mode: str = "r", *rest: int) -> object:
        return original(to_full, "wb") if mode == "xb" else original(self, mode, *rest)

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(UserError, match=r"could not write .*No space left on device"):
        unpack(archive, place / "set")
    assert list(place.iterdir()) == []


def test_an_interruption_leaves_nothing(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
):
    archive = make_zip(tmp_path / "set.zip", TREE)
    write = archives._write

    def interrupted(member: archives._Member, *rest: object) -> None:
        if member.name == "set/empty":
            raise KeyboardInterrupt
        write(member, *rest)

    monkeypatch.setattr(archives, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, place / "set")
    assert list(place.iterdir()) == []
