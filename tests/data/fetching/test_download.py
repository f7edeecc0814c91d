"""Files of a card are fetched from its mirrors, checked, and noted."""

import io
import shutil
from pathlib import Path

import filelock
import pytest
from rich.console import Console

from helpers.downloads import (
    CONTENT,
    OTHER,
    card,
    get,
    is_whole,
    refusal,
    seen,
    sha256,
    source,
)
from helpers.mirror_server import Answer, MirrorServer
from pc_crvae.data.fetching.download import fetch
from pc_crvae.data.fetching.record import RECORD_NAME, read_record, refuse_unfinished
from pc_crvae.errors import UserError


def test_a_file_is_fetched_and_noted(mirror: MirrorServer, folder: Path):
    url = mirror.serve("/points.h5", Answer(CONTENT))
    paths = get(card(source(url, content=CONTENT, size=len(CONTENT))), folder)
    assert paths == [folder / "points.h5"]
    assert seen(folder) == {"points.h5": CONTENT}
    assert is_whole(folder)
    assert sorted(path.name for path in folder.iterdir()) == [RECORD_NAME, "points.h5"]
    assert read_record(folder).files["points.h5"].sha256 == sha256(CONTENT)


def test_what_is_there_is_checked_and_not_fetched_again(mirror: MirrorServer, folder: Path):
    url = mirror.serve("/points.h5", Answer(CONTENT))
    for _ in range(2):
        get(card(source(url, content=CONTENT)), folder)
    assert len(mirror.requests) == 1


def test_several_files_are_fetched_one_after_the_other(mirror: MirrorServer, folder: Path):
    sources = [source(mirror.serve(f"/{name}", Answer(name.encode())), file=name)
               for name in ("train.gz", "test.gz")]  # fmt: skip
    assert get(card(*sources), folder) == [folder / "train.gz", folder / "test.gz"]
    assert seen(folder) == {"train.gz": b"train.gz", "test.gz": b"test.gz"}


def test_bytes_come_as_they_are_stored(mirror: MirrorServer, folder: Path):
    url = mirror.serve("/train.gz", Answer(b"\x1f\x8b as stored"))
    get(card(source(url, file="train.gz")), folder)
    assert mirror.requests[0][1]["Accept-Encoding"] == "identity"
    assert mirror.requests[0][1]["User-Agent"].startswith("pc-crvae/")


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (Answer(status=404), "answered 404 Not Found"),
        (Answer(status=403), "answered 403 Forbidden"),
        (Answer(status=500), "answered 500 Internal Server Error"),
        (Answer(OTHER), "gives a file with another sha256 than the card states"),
        (Answer(CONTENT[:1000]), "gives a file with another sha256 than the card states"),
        (Answer(CONTENT, kind="text/html; charset=utf-8"), "answered with a web page"),
        (Answer(b""), "sends an empty file"),
        (Answer(CONTENT, ranges=False, breaks_after=1000), "broke off"),
        (Answer(CONTENT, hangs_after=0), "fell silent for 0.3 s"),
        (Answer(status=302, location="/points.h5"), "redirects more than 10 times"),
        (Answer(status=302, location="file:///etc/passwd"), "could not be reached (No connection"),
        (Answer(status=206), "answered 206"),
    ],
)
def test_the_next_mirror_is_tried_where_one_fails(
    mirror: MirrorServer, folder: Path, first: Answer, reason: str
):
    urls = [mirror.serve("/points.h5", first), mirror.serve("/good/points.h5", Answer(CONTENT))]
    get(card(source(*urls, content=CONTENT)), folder)
    assert seen(folder) == {"points.h5": CONTENT}
    assert is_whole(folder)
    mirror.serve("/good/points.h5", Answer(status=410))
    shutil.rmtree(folder)
    message = refusal(card(source(*urls, content=CONTENT)), folder)
    assert f"{urls[0]} {reason}" in message
    assert f"{urls[1]} answered 410 Gone" in message
    assert seen(folder) == {} if folder.exists() else True


def test_a_mirror_at_which_nobody_listens_is_passed_over(
    mirror: MirrorServer, dead: str, folder: Path
):
    url = mirror.serve("/points.h5", Answer(CONTENT))
    get(card(source(dead, url)), folder)
    assert seen(folder) == {"points.h5": CONTENT}


def test_an_offline_machine_is_told_what_to_do_by_hand(dead: str, folder: Path):
    wanted = card(source(dead, "http://nowhere.invalid/points.h5"), manual_steps="unpack it.\n")
    message = refusal(wanted, folder)
    assert f"{dead} could not be reached (Connection refused)" in message
    assert "http://nowhere.invalid/points.h5 could not be reached" in message
    assert f"put it into {folder} by hand (its page is https://modelnet.cs" in message
    assert "fetch tiny again, or do without fetching: unpack it" in message
    assert not folder.exists()


def test_a_file_put_there_by_hand_is_taken(dead: str, folder: Path):
    folder.mkdir(parents=True)
    (folder / "points.h5").write_bytes(CONTENT)
    assert get(card(source(dead, content=CONTENT)), folder) == [folder / "points.h5"]
    assert read_record(folder).files["points.h5"].sha256 == sha256(CONTENT)


@pytest.mark.parametrize(
    ("there", "size", "problem"),
    [
        (CONTENT[:100], len(CONTENT), "has 100 bytes, not 256000"),
        (OTHER, None, "has another sha256"),
        (b"", None, "is empty"),
    ],
)
def test_a_wrong_file_put_there_by_hand_stays_until_the_right_one_has_come(
    mirror: MirrorServer, folder: Path, there: bytes, size: int | None, problem: str
):
    folder.mkdir(parents=True)
    (folder / "points.h5").write_bytes(there)
    url = mirror.serve("/points.h5", Answer(status=404), Answer(CONTENT))
    wanted = card(source(url, content=CONTENT, size=size))
    out = io.StringIO()
    with pytest.raises(UserError):
        fetch(wanted, folder, console=Console(file=out))
    assert f"points.h5 {problem}" in out.getvalue()
    assert seen(folder) == {"points.h5": there}
    get(wanted, folder)
    assert seen(folder) == {"points.h5": CONTENT}


def test_a_hash_the_card_does_not_know_is_noted_and_held_against_later_files(
    mirror: MirrorServer, folder: Path
):
    url = mirror.serve("/points.h5", Answer(CONTENT), Answer(OTHER))
    wanted = card(source(url))
    get(wanted, folder)
    (folder / "points.h5").unlink()
    message = refusal(wanted, folder)
    assert "gives a file with another sha256 than was noted when it was first seen" in message
    assert str(folder / RECORD_NAME) in message
    assert seen(folder) == {}
    mirror.serve("/points.h5", Answer(CONTENT))
    get(wanted, folder)
    assert seen(folder) == {"points.h5": CONTENT}


def test_a_file_that_changed_on_the_disk_is_fetched_anew(mirror: MirrorServer, folder: Path):
    wanted = card(source(mirror.serve("/points.h5", Answer(CONTENT))))
    get(wanted, folder)
    (folder / "points.h5").write_bytes(OTHER)
    get(wanted, folder)
    assert seen(folder) == {"points.h5": CONTENT}


def test_a_damaged_record_is_told(mirror: MirrorServer, folder: Path):
    wanted = card(source(mirror.serve("/points.h5", Answer(CONTENT))))
    get(wanted, folder)
    record = folder / RECORD_NAME
    entries = '{"files": {"a": {"sha256": "%s", "unpacked": ["%s"]}}}'
    for damaged in ("{", "[]", '{"files": {"a": {"sha256": "short"}}}',
                    entries % ("0" * 64, ".."), entries % ("0" * 64, "a/b")):  # fmt: skip
        record.write_text(damaged)
        assert str(record) in refusal(wanted, folder)
        with pytest.raises(UserError, match="fetched"):
            refuse_unfinished(folder, "tiny")


def test_two_fetches_at_once_are_refused(mirror: MirrorServer, folder: Path):
    url = mirror.serve("/points.h5", Answer(CONTENT))
    folder.mkdir(parents=True)
    with filelock.FileLock(folder / ".fetching.lock"):
        assert "another process is fetching tiny" in refusal(card(source(url)), folder)
    get(card(source(url)), folder)
    assert seen(folder) == {"points.h5": CONTENT}


def test_progress_shows_the_time_left_on_a_terminal(mirror: MirrorServer, folder: Path):
    url = mirror.serve("/points.h5", Answer(CONTENT))
    out = io.StringIO()
    fetch(card(source(url)), folder, console=Console(file=out, force_terminal=True, width=120))
    assert f"fetching points.h5 from {url}" in out.getvalue()
    assert "256.0/256.0 kB" in out.getvalue()
    assert "left" in out.getvalue()
