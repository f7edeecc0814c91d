"""A disk that is or becomes too small is told, and what came is kept."""

import errno
import io
import os
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from helpers.downloads import CONTENT, card, get, is_whole, parts, refusal, seen, source
from helpers.mirror_server import Answer, MirrorServer
from pc_crvae.data.fetching.download import fetch
from pc_crvae.errors import UserError


def test_room_on_the_disk_is_looked_at_first(
    mirror: MirrorServer, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    urls = [mirror.serve(f"/{name}/points.h5", Answer(CONTENT)) for name in "ab"]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 2**20))
    message = refusal(card(source(*urls, size=len(CONTENT))), folder)
    assert f"the disk of {folder / '.fetching' / 'tiny'} has 1.0 MB left" in message
    assert "points.h5 takes 256.0 kB more" in message
    assert len(mirror.requests) == 1
    assert seen(folder) == {}


def test_room_on_the_disk_is_looked_at_where_no_size_is_known(
    mirror: MirrorServer, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    left = iter([2**40, 2**20, 2**40])
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, next(left))
    )
    url = mirror.serve("/points.h5", Answer(CONTENT, promised=False))
    message = refusal(card(source(url)), folder)
    assert "has a file whose size it does not say, for which there is no room: the disk" in message
    assert seen(folder) == {}
    assert parts(folder) == []


@pytest.mark.parametrize(
    "first", [Answer(CONTENT, promised=10**15), Answer(CONTENT, promised=False)]
)
def test_a_mirror_whose_file_has_no_room_does_not_end_the_fetch(
    mirror: MirrorServer, folder: Path, monkeypatch: pytest.MonkeyPatch, first: Answer
):
    """One that claims a thousand terabytes, or sends without end; nobody knows the true size."""
    left = iter([2**40, 2**20] if first.promised is False else [2**40])

    def usage(path: object) -> shutil._ntuple_diskusage:
        return shutil._ntuple_diskusage(9, 9, next(left, 2**40))

    monkeypatch.setattr(shutil, "disk_usage", usage)
    urls = [
        mirror.serve("/a/points.h5", first),
        mirror.serve("/b/points.h5", Answer(CONTENT)),
    ]
    get(card(source(*urls)), folder)
    assert seen(folder) == {"points.h5": CONTENT}


def test_what_a_server_says_cannot_move_the_cursor(mirror: MirrorServer, folder: Path):
    told = io.StringIO()
    url = mirror.serve("/points.h5", Answer(status=404, reason="\x1b[2Jgone"))
    with pytest.raises(UserError) as caught:
        fetch(card(source(url)), folder, console=Console(file=told))
    for said in (str(caught.value), told.getvalue()):
        assert r"answered 404 \x1b[2Jgone" in said
        assert "\x1b" not in said


def test_a_disk_that_fills_up_is_told_and_what_came_is_kept(
    mirror: MirrorServer, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(file: int) -> None:
        if os.fstat(file).st_size == len(CONTENT):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    urls = [mirror.serve(f"/{name}/points.h5", Answer(CONTENT, tag='"v1"')) for name in "ab"]
    message = refusal(card(source(*urls)), folder)
    assert f"could not write into {folder}: No space left on device" in message
    assert len(mirror.requests) == 1
    assert parts(folder) == [len(CONTENT)]
    assert seen(folder) == {}
    assert not is_whole(folder)
    monkeypatch.undo()
    get(card(source(*urls)), folder)
    assert len(mirror.requests) == 1
    assert seen(folder) == {"points.h5": CONTENT}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_disk_without_a_single_byte_left_is_told(mirror: MirrorServer, folder: Path):
    (folder / ".fetching" / "tiny").mkdir(parents=True)
    (folder / ".fetching" / "tiny" / "points.h5.part").symlink_to("/dev/full")
    url = mirror.serve("/points.h5", Answer(CONTENT))
    message = refusal(card(source(url)), folder)
    assert f"could not write into {folder}: No space left on device" in message
    assert seen(folder) == {}


def test_a_folder_that_cannot_be_made_is_told(mirror: MirrorServer, tmp_path: Path):
    (tmp_path / "file").touch()
    url = mirror.serve("/points.h5", Answer(CONTENT))
    message = refusal(card(source(url)), tmp_path / "file" / "tiny")
    assert "could not write into" in message
    assert "Not a directory" in message
