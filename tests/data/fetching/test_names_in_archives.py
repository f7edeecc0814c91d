"""Names, links and devices that would lead out of the folder are refused."""

import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from helpers.archive_writers import Refused, file_in_tar, make, make_tar, make_zip, special_in_tar
from pc_crvae.data.fetching.archives import unpack

NAMES_THAT_ESCAPE = {
    "/etc/escaped": "absolute path",
    "../escaped": "points out",
    "set/../../escaped": "points out",
    "set/..": "points out",
    "..\\escaped": "backslash, colon",
    "set\\..\\..\\escaped": "backslash, colon",
    "C:/escaped": "backslash, colon",
    "C:escaped": "backslash, colon",
    "set/file.off:stream": "backslash, colon",
    "set/line\nbreak": "backslash, colon or control",
    "set/" + "a" * 256: "too long",
    "/".join(["set" * 20] * 30): "too long",
}


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
@pytest.mark.parametrize(("name", "reason"), NAMES_THAT_ESCAPE.items())
def test_a_name_that_points_elsewhere_or_fits_no_disk_is_refused(
    tmp_path: Path, refused: Refused, suffix: str, name: str, reason: str
):
    archive = make(tmp_path / f"set{suffix}", {"set/first": b"1", name: b"pwned", "set/last": b"2"})
    assert reason in refused(archive)


def test_a_name_with_a_nul_in_a_zip_is_refused_not_cut(tmp_path: Path, refused: Refused):
    archive = make_zip(tmp_path / "set.zip", {"set/aXb": b"1"})
    archive.write_bytes(archive.read_bytes().replace(b"set/aXb", b"set/a\0b"))
    assert "control character" in refused(archive)


def test_a_name_that_is_not_unicode_is_refused(tmp_path: Path, refused: Refused):
    archive = make_tar(tmp_path / "set.tar", [file_in_tar("set/\udcff")])
    assert "not Unicode" in refused(archive)


@pytest.mark.parametrize(
    ("kind", "link", "reason"),
    [
        (tarfile.SYMTYPE, "/etc/passwd", "is a link"),
        (tarfile.SYMTYPE, "first", "is a link"),
        (tarfile.LNKTYPE, "../../outside", "is a link"),
        (tarfile.LNKTYPE, "set/first", "is a link"),
        (tarfile.FIFOTYPE, "", "not a plain file"),
        (tarfile.CHRTYPE, "", "not a plain file"),
        (tarfile.BLKTYPE, "", "not a plain file"),
        (tarfile.GNUTYPE_SPARSE, "", "not a plain file"),
    ],
)
def test_links_devices_and_sparse_files_of_a_tar_are_refused(
    tmp_path: Path, refused: Refused, kind: bytes, link: str, reason: str
):
    members = [file_in_tar("set/first"), special_in_tar("set/odd", kind, link),
               file_in_tar("set/odd/through")]  # fmt: skip
    assert reason in refused(make_tar(tmp_path / "set.tar.gz", members, "w:gz"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_devices_of_a_zip_are_refused(tmp_path: Path, refused: Refused, kind: int):
    archive = make_zip(tmp_path / "set.zip", {"set/first": b"1"})
    with zipfile.ZipFile(archive, "a") as opened:
        info = zipfile.ZipInfo("set/odd")
        info.create_system, info.external_attr = 3, (kind | 0o777) << 16
        opened.writestr(info, "/etc/passwd")
    assert "link or a device" in refused(archive)


def test_permission_bits_are_not_taken_over(tmp_path: Path, place: Path):
    info, content = file_in_tar("set/run", b"#!/bin/sh\n")
    info.mode = 0o6777
    unpack(make_tar(tmp_path / "set.tar", [(info, content)]), place / "tar")
    zipped = zipfile.ZipInfo("set/run")
    zipped.create_system, zipped.external_attr = 3, (stat.S_IFREG | 0o6777) << 16
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr(zipped, content)
    unpack(tmp_path / "set.zip", place / "zip")
    for kind in ("tar", "zip"):
        mode = (place / kind / "set" / "run").stat().st_mode
        assert mode & 0o7111 == 0


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.parametrize(
    "names",
    [("set/a", "set/A"), ("set/a", "set/a"), ("Set/a", "set/b"), ("set/a", "set/a/b"),
     ("set/a/b", "set/a"), ("set/caf\u00e9", "set/cafe\u0301"), ("set/a", "set/a.")],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_fall_together_are_refused(
    tmp_path: Path, refused: Refused, suffix: str, names: tuple[str, str]
):
    archive = tmp_path / f"set{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as opened:
            for name in names:
                opened.writestr(name, b"1")
    else:
        make_tar(archive, [file_in_tar(name) for name in names])
    assert "two members of it have the name" in refused(archive)
