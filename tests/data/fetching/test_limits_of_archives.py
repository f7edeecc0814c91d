"""Archives that hold, or promise, more than they may are refused."""

import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from helpers.archive_writers import (
    SUFFIXES,
    TREE,
    Refused,
    lie,
    make,
    make_zip,
    tar_header,
    tree_of,
)
from pc_crvae.data.fetching import archives
from pc_crvae.data.fetching.archives import unpack


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_more_bytes_than_the_limit_are_refused(
    tmp_path: Path,
    place: Path,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
):
    archive = make(tmp_path / f"set{suffix}", {"a": b"1" * 5000, "b": b"2" * 5000})
    monkeypatch.setattr(archives, "MOST_BYTES", 9999)
    assert "unpacks to more than" in refused(archive)
    monkeypatch.setattr(archives, "MOST_BYTES", 10_000)
    unpack(archive, place / "set")
    assert len(tree_of(place / "set")) == 2
    shutil.rmtree(place / "set")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_more_members_than_the_limit_are_refused(
    tmp_path: Path,
    place: Path,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
):
    archive = make(tmp_path / f"set{suffix}", {f"set/{number}": b"" for number in range(10)})
    monkeypatch.setattr(archives, "MOST_MEMBERS", 9)
    assert "more than 9 files" in refused(archive)
    monkeypatch.setattr(archives, "MOST_MEMBERS", 10)
    unpack(archive, place / "set")
    assert len(tree_of(place / "set")) == 10
    shutil.rmtree(place / "set")


def test_too_many_members_of_a_zip_are_refused_before_anything_is_written(
    tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(archives, "_write", lambda *_: pytest.fail("written"))
    archive = make_zip(tmp_path / "set.zip", {f"set/{number}": b"" for number in range(10)})
    monkeypatch.setattr(archives, "MOST_MEMBERS", 9)
    assert "more than 9 files" in refused(archive)


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".tar.bz2", ".tar.xz"])
def test_a_bomb_is_refused(
    tmp_path: Path, refused: Refused, suffix: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(archives, "_ALWAYS_ALLOWED", 2**20)
    archive = make(tmp_path / f"bomb{suffix}", {"set/zeros": bytes(8 * 2**20)})
    assert archive.stat().st_size < 2**14
    assert "the bound for a file of its size" in refused(archive)


def test_an_honest_archive_far_larger_than_itself_is_unpacked(tmp_path: Path, place: Path):
    unpack(make_zip(tmp_path / "set.zip", {"set/zeros": bytes(2**20)}), place / "set")
    assert (place / "set" / "set" / "zeros").stat().st_size == 2**20


@pytest.mark.parametrize("promised", [10, 2**24 - 1, 2**24 + 1, 2**31])
def test_a_zip_that_lies_about_its_sizes_is_refused(
    tmp_path: Path, refused: Refused, promised: int
):
    archive = make_zip(tmp_path / "bomb.zip", {"set/honest": b"1", "set/zeros": bytes(2**24)})
    lie(archive, 24, promised)
    message = refused(archive)
    assert "damaged" in message or "unpacks to more than" in message


def test_a_zip_that_names_one_piece_of_itself_many_times_is_refused(
    tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(archives, "_ALWAYS_ALLOWED", 2**20)
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("set/0", bytes(2**18))
        first = opened.infolist()[0]
        for number in range(1, 100):
            again = zipfile.ZipInfo(f"set/{number}")
            for field in ("file_size", "compress_size", "CRC", "header_offset", "compress_type"):
                setattr(again, field, getattr(first, field))
            opened.filelist.append(again)
            opened.NameToInfo[again.filename] = again
    assert "the bound for a file of its size" in refused(archive)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_a_header_that_promises_gigabytes_is_refused_unread(
    tmp_path: Path, refused: Refused, kind: bytes
):
    archive = tmp_path / "bomb.tar"
    with archive.open("wb") as file:
        file.write(tar_header(kind, 2**33))
        file.truncate(2**33 + 2048)  # A hole: takes no room on the disk.
    assert "a header of" in refused(archive)


def test_a_member_that_promises_more_than_is_there_is_refused(tmp_path: Path, refused: Refused):
    archive = tmp_path / "set.tar"
    archive.write_bytes(tar_header(tarfile.REGTYPE, 10**6) + bytes(2048))
    refused(archive)


def test_a_negative_size_is_refused(tmp_path: Path, refused: Refused):
    for size in (-1, -512, -2048, -(2**62)):
        header = bytearray(tarfile.TarInfo("set/odd").tobuf(tarfile.GNU_FORMAT))
        header[124:136] = tarfile.itn(size, 12, tarfile.GNU_FORMAT)
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        archive = make(tmp_path / "set.tar", {"set/first": b"1"})
        archive.write_bytes(archive.read_bytes()[:1024] + header + bytes(2048))
        refused(archive)


def test_zeros_after_the_end_are_bounded_too(
    tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(archives, "_ALWAYS_ALLOWED", 2**20)
    plain = make(tmp_path / "set.tar", TREE).read_bytes()
    archive = tmp_path / "bomb.tar.gz"
    archives.gzip.open(archive, "wb").write(plain + bytes(2**24))
    assert "the bound for a file of its size" in refused(archive)
