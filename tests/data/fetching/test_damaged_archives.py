"""Archives that are cut short, damaged or nonsense are refused."""

import os
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
from pc_crvae.errors import UserError


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
    lie(path, 42, 0xFFFFFFFF)


def _headers_of_headers(path: Path) -> None:
    with path.open("wb") as file:
        for _ in range(2000):
            file.write(tar_header(tarfile.GNUTYPE_LONGNAME, 5) + b"name\0".ljust(512, b"\0"))


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
