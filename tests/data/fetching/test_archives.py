import io
import os
import shutil
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pc_crvae.data.fetching import archives
from pc_crvae.data.fetching.archives import ArchiveRejected, unpack
from pc_crvae.errors import UserError

TREE = {"set/train.txt": b"a\n" * 700, "set/chair/1.off": b"OFF\n1 0 0\n0 0 0\n", "set/empty": b""}
TAR_MODES = {".tar": "w", ".tar.gz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}
SUFFIXES = [".zip", *TAR_MODES]

TarMember = tuple[tarfile.TarInfo, bytes]


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, members: list[TarMember], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def file_in_tar(name: str, content: bytes = b"x") -> TarMember:
    return tarfile.TarInfo(name), content


def special_in_tar(name: str, kind: bytes, link: str = "") -> TarMember:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, b""


def make(path: Path, members: dict[str, bytes]) -> Path:
    suffix = next(suffix for suffix in SUFFIXES if path.name.endswith(suffix))
    if suffix == ".zip":
        return make_zip(path, members)
    return make_tar(path, [file_in_tar(*member) for member in members.items()], TAR_MODES[suffix])


def tree_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


Refused = Callable[[Path], str]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder to unpack in, around which nothing may change."""
    place = tmp_path / "deep" / "place"
    place.mkdir(parents=True)
    before = sorted(tmp_path.iterdir())
    yield place
    assert [path for path in sorted(tmp_path.iterdir()) if path.suffix == ""] == before
    assert list((tmp_path / "deep").iterdir()) == [place]


@pytest.fixture
def refused(place: Path) -> Refused:
    """Unpacks what must be refused with one sentence, and leave nothing behind."""

    def run(archive: Path) -> str:
        with pytest.raises(UserError) as caught:
            unpack(archive, place / "set")
        message = str(caught.value)
        assert archive.name in message
        assert "\n" not in message
        is_the_archive = "the disk of" not in message and "is not a file" not in message
        assert isinstance(caught.value, ArchiveRejected) == is_the_archive
        assert list(place.iterdir()) == []
        return message

    return run


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


def test_an_encrypted_zip_is_refused(tmp_path: Path, refused: Refused):
    archive = make_zip(tmp_path / "set.zip", {"set/a": b"1"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    assert "encrypted" in refused(archive)


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


def _lie(archive: Path, field: int, value: int) -> None:
    """Set a 32-bit field of the zip's last entry in its directory."""
    content = bytearray(archive.read_bytes())
    start = content.rindex(b"PK\x01\x02")
    struct.pack_into("<I", content, start + field, value)
    archive.write_bytes(content)


@pytest.mark.parametrize("promised", [10, 2**24 - 1, 2**24 + 1, 2**31])
def test_a_zip_that_lies_about_its_sizes_is_refused(
    tmp_path: Path, refused: Refused, promised: int
):
    archive = make_zip(tmp_path / "bomb.zip", {"set/honest": b"1", "set/zeros": bytes(2**24)})
    _lie(archive, 24, promised)
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


def _tar_header(kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo("set/odd")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_a_header_that_promises_gigabytes_is_refused_unread(
    tmp_path: Path, refused: Refused, kind: bytes
):
    archive = tmp_path / "bomb.tar"
    with archive.open("wb") as file:
        file.write(_tar_header(kind, 2**33))
        file.truncate(2**33 + 2048)  # A hole: takes no room on the disk.
    assert "a header of" in refused(archive)


def test_a_member_that_promises_more_than_is_there_is_refused(tmp_path: Path, refused: Refused):
    archive = tmp_path / "set.tar"
    archive.write_bytes(_tar_header(tarfile.REGTYPE, 10**6) + bytes(2048))
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


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_an_archive_cut_short_is_refused(
    tmp_path: Path, refused: Refused, suffix: str, kept: float
):
    content = {f"set/{number}": os.urandom(3000) for number in range(9)}
    archive = make(tmp_path / f"set{suffix}", content)
    whole = archive.read_bytes()
    # The end of a plain tar is padding, which may be cut.
    end = whole.rindex(b"set/8") + 3000 if suffix == ".tar" else len(whole)
    archive.write_bytes(whole[: int(kept * end)])
    refused(archive)


def test_a_tar_cut_between_two_members_is_refused(tmp_path: Path, refused: Refused):
    archive = make(tmp_path / "set.tar", {"set/a": b"1", "set/b": b"2"})
    archive.write_bytes(archive.read_bytes()[:1024])
    assert "cut short" in refused(archive)


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".tar.bz2", ".tar.xz"])
def test_a_flipped_byte_in_the_content_is_refused(tmp_path: Path, refused: Refused, suffix: str):
    archive = make(tmp_path / f"set{suffix}", {"set/noise": os.urandom(20_000)})
    content = bytearray(archive.read_bytes())
    content[10_000] ^= 0x40
    archive.write_bytes(content)
    assert "damaged" in refused(archive)


def test_a_damaged_header_within_a_tar_is_not_taken_for_its_end(tmp_path: Path, refused: Refused):
    archive = make(tmp_path / "set.tar", {"set/a": b"1", "set/b": b"2"})
    content = bytearray(archive.read_bytes())
    content[1024 + 150] ^= 0x01  # In the sum of the second header.
    archive.write_bytes(content)
    assert "damaged" in refused(archive)


def _unknown_compression(path: Path) -> None:
    content = make_zip(path, {"set/a": b"1" * 100}).read_bytes()
    for signature, field in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = content.index(signature) + field
        content = content[:at] + b"\x63\0" + content[at + 2 :]
    path.write_bytes(content)


def _impossible_deflate(path: Path) -> None:
    content = bytearray(make_zip(path, {"set/a": b"1" * 100}).read_bytes())
    content[30 + len("set/a")] |= 0b110  # The kind of block that is reserved.
    path.write_bytes(content)


def _offset_beyond_all_files(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("set/a", b"1")
        archive.filelist[0].extra = struct.pack("<HHQ", 1, 8, 2**64 - 2**10)
    _lie(path, 42, 0xFFFFFFFF)


def _headers_of_headers(path: Path) -> None:
    with path.open("wb") as file:
        for _ in range(2000):
            file.write(_tar_header(tarfile.GNUTYPE_LONGNAME, 5) + b"name\0".ljust(512, b"\0"))


def _no_numbers(path: Path) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("set/a")
        info.pax_headers = {"GNU.sparse.map": "first,second"}
        archive.addfile(info)


@pytest.mark.parametrize(
    "make_nonsense",
    [_unknown_compression, _impossible_deflate, _offset_beyond_all_files, _headers_of_headers,
     _no_numbers],
)  # fmt: skip
def test_nonsense_of_every_kind_is_refused(
    tmp_path: Path, refused: Refused, make_nonsense: Callable[[Path], None]
):
    make_nonsense(tmp_path / "set.bin")
    assert "damaged or cut short" in refused(tmp_path / "set.bin")


def test_python_s_own_filter_has_a_say(
    tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
):
    def strict(info: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
        raise tarfile.SpecialFileError(info)

    monkeypatch.setattr(tarfile, "data_filter", strict)
    assert "is a special file" in refused(make(tmp_path / "set.tar", TREE))


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


def _fuzz(folder: Path, suffix: str, changes: list[tuple[float, int]], kept: float) -> None:
    """Damage an archive: whatever comes of it is what was packed, or one sentence."""
    path = folder / f"fuzzed{suffix}"
    content = bytearray(make(path, TREE).read_bytes())
    for where, value in changes:
        content[int(where * (len(content) - 1))] = value
    path.write_bytes(content[: round(kept * len(content))])
    refusal = None
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(archives, "MOST_BYTES", 2**22)
            unpack(path, folder / "fuzzed")
    except UserError as error:
        refusal = str(error)
    if refusal is None:
        assert tree_of(folder / "fuzzed")
        shutil.rmtree(folder / "fuzzed")
    else:
        assert "\n" not in refusal
    assert sorted(folder.iterdir()) == [path]
    path.unlink()


changes = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 255) | st.sampled_from(list(b"/.\0gxLKS1207"))),
    max_size=4,
)


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=changes, kept=st.just(1.0) | st.floats(0, 1))
def test_damage_of_any_kind_is_a_refusal_or_a_tree(
    tmp_path: Path, suffix: str, changes: list[tuple[float, int]], kept: float
):
    _fuzz(tmp_path, suffix, changes, kept)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(
    max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=changes, kept=st.just(1.0) | st.floats(0, 1))
def test_much_damage_of_any_kind_is_a_refusal_or_a_tree(
    tmp_path: Path, suffix: str, changes: list[tuple[float, int]], kept: float
):
    _fuzz(tmp_path, suffix, changes, kept)
