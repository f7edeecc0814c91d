import errno
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import filelock
import pytest
import requests
from rich.console import Console

from helpers.mirror_server import Answer, MirrorServer, mirror_server
from pc_crvae.data.cards import Card, Source, load_card
from pc_crvae.data.fetching import download, transfer
from pc_crvae.data.fetching.download import fetch
from pc_crvae.data.fetching.record import RECORD_NAME, read_record, refuse_unfinished
from pc_crvae.data.fetching.transfer import TransferError
from pc_crvae.errors import UserError

CONTENT = bytes(range(256)) * 1000
OTHER = CONTENT[::-1]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def source(
    *urls: str,
    content: bytes | None = None,
    file: str = "points.h5",
    size: int | None = None,
    unpack: bool = False,
) -> Source:
    known = None if content is None else sha256(content)
    return Source(file=file, urls=list(urls), sha256=known, size=size, unpack=unpack)


def card(*sources: Source, **fields: object) -> Card:
    base = load_card("modelnet40").model_copy(update={"name": "tiny", "folder": "tiny_set"})
    return base.model_copy(update={"sources": list(sources)} | fields)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch):
    """Servers are waited for no longer than the tests need."""
    monkeypatch.setattr(transfer, "_TO_CONNECT", 2.0)
    monkeypatch.setattr(transfer, "_FOR_BYTES", 0.3)
    monkeypatch.setattr(transfer, "_SLOWEST", 1000.0)
    monkeypatch.setattr(download, "_BETWEEN_ATTEMPTS", 0.0)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def mirror() -> Iterator[MirrorServer]:
    with mirror_server() as mirror:
        yield mirror


@pytest.fixture
def dead() -> str:
    """An address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/points.h5"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "tiny"


def get(card: Card, folder: Path) -> list[Path]:
    return fetch(card, folder, console=Console(file=io.StringIO()))


def refusal(card: Card, folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        get(card, folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


def parts(folder: Path) -> list[int]:
    return [path.stat().st_size for path in sorted((folder / ".fetching").rglob("*.part"))]


def seen(folder: Path) -> dict[str, bytes]:
    """All files that a reader might come across."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.relative_to(folder).parts[0].startswith(".")
    }


def is_whole(folder: Path) -> bool:
    try:
        refuse_unfinished(folder, "tiny")
    except UserError:
        return False
    assert not (folder / ".fetching").exists()
    return True


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


# Going on where a download broke off.


@pytest.mark.parametrize(
    "version",
    [{"tag": '"v1"'}, {"changed": "Mon, 01 Jan 2024 00:00:00 GMT"},
     {"tag": 'W/"v1"', "changed": "Mon, 01 Jan 2024 00:00:00 GMT"}],
)  # fmt: skip
def test_what_is_missing_is_asked_for_under_the_version_it_began_with(
    mirror: MirrorServer, folder: Path, version: dict[str, str]
):
    broken = Answer(CONTENT, breaks_after=100_000, **version)
    url = mirror.serve("/points.h5", broken, Answer(CONTENT, **version))
    get(card(source(url)), folder)
    assert seen(folder) == {"points.h5": CONTENT}
    assert mirror.ranges_asked() == [None, "bytes=100000-"]
    assert mirror.requests[1][1]["If-Range"] == version.get("changed", version.get("tag"))


def test_an_interrupted_fetch_is_gone_on_with_by_the_next(mirror: MirrorServer, folder: Path):
    broken = Answer(CONTENT, tag='"v1"', breaks_after=100_000)
    url = mirror.serve("/points.h5", broken, Answer(status=503))
    message = refusal(card(source(url)), folder)
    assert "100.0 kB that came are kept for the next fetch" in message
    assert parts(folder) == [100_000]
    assert seen(folder) == {}
    assert not is_whole(folder)
    mirror.serve("/points.h5", Answer(CONTENT, tag='"v1"'))
    get(card(source(url)), folder)
    assert mirror.ranges_asked()[-1] == "bytes=100000-"
    assert seen(folder) == {"points.h5": CONTENT}
    assert is_whole(folder)


def test_a_download_that_breaks_off_again_and_again_gets_there(mirror: MirrorServer, folder: Path):
    url = mirror.serve("/points.h5", Answer(CONTENT, tag='"v1"', breaks_after=60_000))
    get(card(source(url)), folder)
    assert len(mirror.requests) == 5
    assert seen(folder) == {"points.h5": CONTENT}


def test_another_version_by_now_is_fetched_from_its_start(mirror: MirrorServer, folder: Path):
    broken = Answer(CONTENT, tag='"v1"', breaks_after=100_000)
    url = mirror.serve("/points.h5", broken, Answer(OTHER, tag='"v2"'))
    get(card(source(url)), folder)
    assert mirror.ranges_asked() == [None, "bytes=100000-"]
    assert seen(folder) == {"points.h5": OTHER}


@pytest.mark.parametrize(
    "rest",
    [
        Answer(OTHER, tag='"v2"', conditions=False),
        Answer(OTHER + b"longer", tag='"v1"'),
        Answer(CONTENT, tag='"v1"', range_shift=-5),
        Answer(CONTENT, tag='"v1"', total_shown=7),
        Answer(CONTENT[:99_999], tag='"v1"'),
    ],
    ids=["condition ignored", "other length", "other start", "other total", "shorter"],
)
def test_a_rest_that_does_not_fit_is_fetched_from_its_start(
    mirror: MirrorServer, folder: Path, rest: Answer
):
    broken = Answer(CONTENT, tag='"v1"', breaks_after=100_000)
    url = mirror.serve("/points.h5", broken, rest)
    get(card(source(url)), folder)
    assert seen(folder) == {"points.h5": rest.content}


def test_a_server_without_ranges_gives_all_of_it_again(mirror: MirrorServer, folder: Path):
    broken = Answer(CONTENT, tag='"v1"', breaks_after=100_000, ranges=False)
    url = mirror.serve("/points.h5", broken, Answer(CONTENT, tag='"v1"', ranges=False))
    get(card(source(url)), folder)
    assert len(mirror.requests) == 2
    assert seen(folder) == {"points.h5": CONTENT}


def test_a_server_that_states_no_version_is_gone_on_with_only_where_the_hash_is_known(
    mirror: MirrorServer, folder: Path
):
    url = mirror.serve("/points.h5", Answer(CONTENT, breaks_after=100_000), Answer(CONTENT))
    get(card(source(url)), folder)
    assert mirror.ranges_asked() == [None, None]
    shutil.rmtree(folder)
    url = mirror.serve("/points.h5", Answer(CONTENT, breaks_after=100_000), Answer(CONTENT))
    get(card(source(url, content=CONTENT)), folder)
    assert mirror.ranges_asked()[2:] == [None, "bytes=100000-"]


def test_parts_that_do_not_fit_together_are_fetched_as_one(mirror: MirrorServer, folder: Path):
    url = mirror.serve("/points.h5", Answer(OTHER, breaks_after=100_000), Answer(CONTENT))
    get(card(source(url, content=CONTENT)), folder)
    assert mirror.ranges_asked() == [None, "bytes=100000-", None]
    assert seen(folder) == {"points.h5": CONTENT}


def test_a_part_is_not_gone_on_with_from_another_mirror(mirror: MirrorServer, folder: Path):
    first = mirror.serve("/a/points.h5", Answer(CONTENT, tag='"v1"', breaks_after=100_000),
                         Answer(status=503))  # fmt: skip
    second = mirror.serve("/b/points.h5", Answer(OTHER, tag='"v1"'))
    get(card(source(first, second)), folder)
    assert mirror.ranges_asked() == [None, "bytes=100000-", None, None]
    assert seen(folder) == {"points.h5": OTHER}


def test_the_mirror_that_a_part_came_from_is_asked_first(mirror: MirrorServer, folder: Path):
    first = mirror.serve("/a/points.h5", Answer(status=404))
    second = mirror.serve(
        "/b/points.h5", Answer(CONTENT, tag='"v1"', breaks_after=100_000), Answer(status=503)
    )
    refusal(card(source(first, second)), folder)
    mirror.serve("/b/points.h5", Answer(CONTENT, tag='"v1"'))
    mirror.requests.clear()
    get(card(source(first, second)), folder)
    assert [path for path, _ in mirror.requests] == ["/b/points.h5"]


def test_a_part_whose_note_is_damaged_is_fetched_from_its_start(mirror: MirrorServer, folder: Path):
    broken = Answer(CONTENT, tag='"v1"', breaks_after=100_000)
    url = mirror.serve("/points.h5", broken, Answer(status=503))
    for damaged in ("", "[]", "{}", '{"url": 1, "tag": null, "changed": null, "total": "many"}'):
        refusal(card(source(url)), folder)
        (folder / ".fetching" / "tiny" / "points.h5.part.json").write_text(damaged)
    mirror.serve("/points.h5", Answer(CONTENT, tag='"v1"'))
    get(card(source(url)), folder)
    assert mirror.ranges_asked()[-1] is None
    assert seen(folder) == {"points.h5": CONTENT}


def test_a_part_that_is_all_of_it_is_not_asked_for_again(mirror: MirrorServer, folder: Path):
    url = mirror.serve("/points.h5", Answer(CONTENT, tag='"v1"', breaks_after=100_000),
                       Answer(status=503))  # fmt: skip
    refusal(card(source(url)), folder)
    (folder / ".fetching" / "tiny" / "points.h5.part").write_bytes(CONTENT)
    mirror.requests.clear()
    get(card(source(url)), folder)
    assert mirror.requests == []
    assert seen(folder) == {"points.h5": CONTENT}


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_a_fetch_that_is_killed_is_gone_on_with(
    mirror: MirrorServer, folder: Path, signal_number: int
):
    url = mirror.serve("/points.h5", Answer(CONTENT, tag='"v1"', hangs_after=131_072))
    wanted = card(source(url))
    script = (
        # A shell's background jobs ignore SIGINT, and so would what they start.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "import sys; from pathlib import Path; from pc_crvae.data.cards import Card;"
        "from pc_crvae.data.fetching.download import fetch;"
        "fetch(Card.model_validate_json(sys.argv[1]), Path(sys.argv[2]))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, wanted.model_dump_json(), str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 600
    while parts(folder) != [131_072]:
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal_number)
    child.wait(timeout=600)
    assert seen(folder) == {}
    assert not is_whole(folder)
    mirror.serve("/points.h5", Answer(CONTENT, tag='"v1"'))
    get(wanted, folder)
    assert mirror.ranges_asked()[-1] == "bytes=131072-"
    assert seen(folder) == {"points.h5": CONTENT}
    assert is_whole(folder)


# Servers that misbehave.


def test_redirects_are_followed_and_ranges_with_them(mirror: MirrorServer, folder: Path):
    url = mirror.serve("/points.h5", Answer(status=302, location="/there/points.h5"))
    broken = Answer(CONTENT, tag='"v1"', breaks_after=100_000)
    mirror.serve("/there/points.h5", broken, Answer(CONTENT, tag='"v1"'))
    get(card(source(url)), folder)
    assert seen(folder) == {"points.h5": CONTENT}
    assert mirror.ranges_asked()[-1] == "bytes=100000-"


@pytest.mark.parametrize(
    ("url", "target", "allowed"),
    [
        ("https://a.org/x", "https://b.org/x", True),
        ("https://a.org/x", "/y", True),
        ("http://a.org/x", "https://a.org/x", True),
        ("http://a.org/x", "http://b.org/x", True),
        ("https://a.org/x", "http://a.org/x", False),
        ("https://a.org/x", "ftp://a.org/x", False),
    ],
)
def test_a_redirect_does_not_leave_an_encrypted_connection(url: str, target: str, allowed: bool):
    response = requests.Response()
    response.status_code, response.url = 302, url
    response.headers["Location"] = target
    session = transfer._Session()
    if allowed:
        assert session.get_redirect_target(response) == target
    else:
        with pytest.raises(TransferError, match="redirects to an open connection"):
            session.get_redirect_target(response)


def test_a_file_in_chunks_without_a_length_is_fetched(mirror: MirrorServer, folder: Path):
    url = mirror.serve("/points.h5", Answer(CONTENT, promised=False))
    get(card(source(url)), folder)
    assert seen(folder) == {"points.h5": CONTENT}


def test_chunks_without_an_end_are_noticed(mirror: MirrorServer, folder: Path):
    url = mirror.serve(
        "/points.h5", Answer(CONTENT, promised=False, ranges=False, breaks_after=100_000)
    )
    assert "broke off" in refusal(card(source(url)), folder)
    assert seen(folder) == {}


def test_another_size_than_the_card_states_is_refused_unread(mirror: MirrorServer, folder: Path):
    url = mirror.serve("/points.h5", Answer(CONTENT))
    for size in (len(CONTENT) - 1, len(CONTENT) + 1):
        assert f"has a file of 256000 bytes, not of {size}" in refusal(
            card(source(url, size=size)), folder
        )
        assert not folder.exists()


def test_a_part_of_a_file_of_another_size_is_not_gone_on_with(mirror: MirrorServer, folder: Path):
    broken = Answer(CONTENT, tag='"v1"', breaks_after=100_000)
    url = mirror.serve("/points.h5", broken, Answer(status=503))
    refusal(card(source(url)), folder)
    mirror.serve("/points.h5", Answer(CONTENT, tag='"v1"'))
    assert "has a file of 256000 bytes, not of 200000" in refusal(
        card(source(url, size=200_000)), folder
    )


def test_a_body_larger_than_promised_is_refused(mirror: MirrorServer, folder: Path):
    url = mirror.serve("/points.h5", Answer(CONTENT, promised=False))
    message = refusal(card(source(url, size=1000)), folder)
    assert "sends more than the 1000 bytes" in message
    assert not folder.exists()


def test_a_body_smaller_than_the_card_states_is_refused(mirror: MirrorServer, folder: Path):
    url = mirror.serve("/points.h5", Answer(CONTENT, promised=False))
    assert "broke off after 256000 of 300000 bytes" in refusal(
        card(source(url, size=300_000)), folder
    )
    assert seen(folder) == {}


def test_a_rest_larger_than_promised_is_refused(mirror: MirrorServer, folder: Path):
    longer = Answer(CONTENT, tag='"v1"', promised=False, total_shown=200_000)
    broken = Answer(CONTENT[:200_000], tag='"v1"', breaks_after=100_000)
    url = mirror.serve("/points.h5", broken, longer)
    assert "sends more than the 200000 bytes" in refusal(card(source(url)), folder)
    assert not folder.exists()


def test_a_body_longer_than_its_length_is_read_as_far_as_promised(
    mirror: MirrorServer, folder: Path
):
    url = mirror.serve("/points.h5", Answer(CONTENT, promised=1000))
    assert "another sha256" in refusal(card(source(url, content=CONTENT)), folder)
    assert not folder.exists()


def test_a_server_that_lets_bytes_drip_is_given_up(mirror: MirrorServer, folder: Path):
    url = mirror.serve("/points.h5", Answer(CONTENT, drips=0.01, ranges=False))
    begun = time.monotonic()
    assert "sent no more than" in refusal(card(source(url)), folder)
    assert time.monotonic() - begun < 600  # all of its bytes would take 2,560 seconds


def test_a_server_that_falls_silent_is_asked_for_the_rest(mirror: MirrorServer, folder: Path):
    silent = Answer(CONTENT, tag='"v1"', hangs_after=100_000)
    url = mirror.serve("/points.h5", silent, Answer(CONTENT, tag='"v1"'))
    get(card(source(url)), folder)
    assert mirror.ranges_asked() == [None, "bytes=100000-"]
    assert seen(folder) == {"points.h5": CONTENT}


def test_a_server_that_accepts_and_says_nothing_is_given_up(folder: Path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/points.h5"
        assert "did not answer for 0.3 s" in refusal(card(source(url)), folder)


def test_what_is_no_http_is_told(folder: Path):
    import threading

    def babble(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"SSH-2.0-OpenSSH\r\n" * 100)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=babble, args=(listening,))
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/points.h5"
        assert "could not be reached (SSH-2.0" in refusal(card(source(url)), folder)
        thread.join()


# The disk.


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


def test_two_fetches_at_once_are_refused(mirror: MirrorServer, folder: Path):
    url = mirror.serve("/points.h5", Answer(CONTENT))
    folder.mkdir(parents=True)
    with filelock.FileLock(folder / ".fetching.lock"):
        assert "another process is fetching tiny" in refusal(card(source(url)), folder)
    get(card(source(url)), folder)
    assert seen(folder) == {"points.h5": CONTENT}


def test_a_set_that_lacks_a_file_is_not_loaded(mirror: MirrorServer, folder: Path):
    first = source(mirror.serve("/train.gz", Answer(b"train")), file="train.gz")
    second = source(mirror.serve("/test.gz", Answer(status=404)), file="test.gz")
    assert "could not fetch test.gz" in refusal(card(first, second), folder)
    assert seen(folder) == {"train.gz": b"train"}
    with pytest.raises(UserError, match="does not hold all of tiny, because fetching it was"):
        refuse_unfinished(folder, "tiny")
    (folder / "test.gz").write_bytes(b"by hand")
    get(card(first, second), folder)
    assert is_whole(folder)


def test_a_set_that_lacks_a_file_is_not_loaded_whatever_else_lies_there(
    mirror: MirrorServer, folder: Path
):
    folder.mkdir(parents=True)
    (folder / "notes.txt").touch()
    first = source(mirror.serve("/train.gz", Answer(b"train")), file="train.gz")
    second = source(mirror.serve("/test.gz", Answer(status=404)), file="test.gz")
    refusal(card(second, first), folder)
    assert is_whole(folder)  # Nothing has changed.
    refusal(card(first, second), folder)
    assert not is_whole(folder)


def test_an_empty_folder_of_the_user_s_stays(dead: str, folder: Path):
    folder.mkdir(parents=True)
    refusal(card(source(dead)), folder)
    assert folder.is_dir()


def test_what_killed_fetches_left_behind_is_cleared_away(mirror: MirrorServer, folder: Path):
    (folder / ".fetching" / "tiny").mkdir(parents=True)
    (folder / ".fetching" / "tiny" / "tmp1234").touch()
    get(card(source(mirror.serve("/points.h5", Answer(CONTENT)))), folder)
    assert is_whole(folder)


def test_a_folder_that_nothing_was_fetched_into_is_loaded(tmp_path: Path):
    refuse_unfinished(tmp_path, "tiny")


# Archives.

TREE = {"tiny_set/train.txt": b"a\n", "tiny_set/chair/1.off": b"OFF\n", "tiny_set/lamp/1.off": b""}
LIFTED = {name.removeprefix("tiny_set/"): content for name, content in TREE.items()}


def archive_source(mirror: MirrorServer, content: bytes, file: str = "tiny.zip") -> Source:
    return source(mirror.serve(f"/{file}", Answer(content)), file=file, unpack=True)


def test_an_archive_is_unpacked_beside_itself(mirror: MirrorServer, folder: Path):
    archive = zipped(TREE)
    paths = get(card(archive_source(mirror, archive)), folder)
    assert paths == [folder / name for name in ("tiny.zip", "chair", "lamp", "train.txt")]
    assert seen(folder) == LIFTED | {"tiny.zip": archive}
    assert is_whole(folder)


def test_an_archive_may_be_removed_once_it_is_unpacked(mirror: MirrorServer, folder: Path):
    wanted = card(archive_source(mirror, zipped(TREE)))
    get(wanted, folder)
    (folder / "tiny.zip").unlink()
    assert get(wanted, folder) == [folder / name for name in ("chair", "lamp", "train.txt")]
    assert len(mirror.requests) == 1


def test_what_was_removed_of_an_unpacked_archive_comes_back(mirror: MirrorServer, folder: Path):
    wanted = card(archive_source(mirror, zipped(TREE)))
    get(wanted, folder)
    shutil.rmtree(folder / "chair")
    (folder / "lamp" / "stale.off").touch()
    get(wanted, folder)
    assert seen(folder) == LIFTED | {"tiny.zip": zipped(TREE)}
    assert len(mirror.requests) == 1


@pytest.mark.parametrize("archive_is_removed", [False, True])
def test_a_new_version_on_the_card_replaces_what_was_unpacked(
    mirror: MirrorServer, folder: Path, archive_is_removed: bool
):
    get(card(archive_source(mirror, zipped(TREE))), folder)
    if archive_is_removed:
        (folder / "tiny.zip").unlink()
    newer = zipped({"tiny_set/train.txt": b"b\n", "tiny_set/sofa/1.off": b""})
    url = mirror.serve("/tiny.zip", Answer(newer))
    get(card(source(url, content=newer, file="tiny.zip", unpack=True)), folder)
    assert seen(folder) == {"train.txt": b"b\n", "sofa/1.off": b"", "tiny.zip": newer}


def test_an_archive_put_there_by_hand_is_unpacked(dead: str, folder: Path):
    folder.mkdir(parents=True)
    (folder / "tiny.zip").write_bytes(zipped(TREE))
    get(card(source(dead, file="tiny.zip", unpack=True)), folder)
    assert seen(folder) == LIFTED | {"tiny.zip": zipped(TREE)}


def test_what_lies_there_by_hand_is_neither_overwritten_nor_downloaded_again(
    mirror: MirrorServer, folder: Path
):
    (folder / "chair").mkdir(parents=True)
    (folder / "chair" / "mine.off").write_bytes(b"mine")
    message = refusal(card(archive_source(mirror, zipped(TREE))), folder)
    assert f"{folder} holds files that no fetch put there (chair)" in message
    assert mirror.requests == []
    assert seen(folder) == {"chair/mine.off": b"mine"}
    assert list(folder.iterdir()) == [folder / "chair"]


def test_two_archives_with_entries_of_one_name_are_refused(mirror: MirrorServer, folder: Path):
    sources = [archive_source(mirror, zipped(TREE), file) for file in ("a.zip", "b.zip")]
    assert "holds chair, lamp, train.txt already" in refusal(card(*sources), folder)
    assert not is_whole(folder)


def test_an_archive_that_would_write_over_the_record_is_refused(mirror: MirrorServer, folder: Path):
    wanted = card(archive_source(mirror, zipped({RECORD_NAME: b"{}", "a": b"1"})))
    assert f"holds {RECORD_NAME} already" in refusal(wanted, folder)
    assert not is_whole(folder)


def _tar_with_a_link() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("tiny_set/first"))
        link = tarfile.TarInfo("tiny_set/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "archive",
    [zipped(TREE | {"../escaped": b"pwned"}), _tar_with_a_link(), zipped(TREE)[:-50], CONTENT,
     zipped({"tiny_set/bomb": bytes(2**29)})],
    ids=["escape", "link", "cut short", "no archive", "bomb"],
)  # fmt: skip
def test_an_archive_that_is_refused_leaves_nothing_that_loads(
    mirror: MirrorServer, folder: Path, archive: bytes
):
    message = refusal(card(archive_source(mirror, archive)), folder)
    assert f"{folder / 'tiny.zip'} was not unpacked" in message
    assert "remove it and fetch tiny again" in message
    assert set(seen(folder)) == {"tiny.zip"}
    assert not is_whole(folder)
    assert list(folder.parent.iterdir()) == [folder]
    (folder / "tiny.zip").unlink()
    get(card(archive_source(mirror, zipped(TREE))), folder)
    assert seen(folder) == LIFTED | {"tiny.zip": zipped(TREE)}


def test_a_fetch_killed_while_it_moves_what_it_unpacked_is_gone_on_with(
    mirror: MirrorServer, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    wanted = card(archive_source(mirror, zipped(TREE)))
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if self.name == "train.txt":
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        get(wanted, folder)
    monkeypatch.undo()
    assert set(seen(folder)) == {"tiny.zip", "chair/1.off", "lamp/1.off"}
    assert not is_whole(folder)
    get(wanted, folder)
    assert seen(folder) == LIFTED | {"tiny.zip": zipped(TREE)}
    assert is_whole(folder)
    assert len(mirror.requests) == 1


def test_a_full_disk_is_not_held_against_an_archive(
    mirror: MirrorServer, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    wanted = card(archive_source(mirror, zipped(TREE)))
    folder.mkdir(parents=True)
    (folder / "tiny.zip").write_bytes(zipped(TREE))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 0))
    message = refusal(wanted, folder)
    assert "the disk of" in message
    assert "remove it" not in message
    assert "tiny.zip" in read_record(folder).files
    monkeypatch.undo()
    get(wanted, folder)
    assert is_whole(folder)


def test_two_sets_may_share_a_folder(mirror: MirrorServer, folder: Path):
    first = card(archive_source(mirror, zipped(TREE), "a.zip"))
    get(first, folder)
    broken = Answer(zipped({"sofa/1.off": CONTENT}), tag='"v1"', breaks_after=200)
    url = mirror.serve("/b.zip", broken, Answer(status=503))
    second = card(source(url, file="b.zip", unpack=True), name="other")
    refusal(second, folder)
    get(first, folder)
    refuse_unfinished(folder, "tiny")
    mirror.serve("/b.zip", Answer(broken.content, tag='"v1"'))
    get(second, folder)
    assert mirror.ranges_asked()[-1] == "bytes=200-"
    assert set(seen(folder)) == {*LIFTED, "a.zip", "b.zip", "sofa/1.off"}


def test_what_was_moved_in_part_is_loaded_by_no_set_of_the_folder(
    mirror: MirrorServer, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    wanted = card(archive_source(mirror, zipped(TREE)))
    get(wanted, folder)
    shutil.rmtree(folder / "chair")
    monkeypatch.setattr(download, "_remove", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        get(wanted, folder)
    for name in ("tiny", "other"):
        with pytest.raises(UserError, match="does not hold all of tiny"):
            refuse_unfinished(folder, name)


def test_progress_shows_the_time_left_on_a_terminal(mirror: MirrorServer, folder: Path):
    url = mirror.serve("/points.h5", Answer(CONTENT))
    out = io.StringIO()
    fetch(card(source(url)), folder, console=Console(file=out, force_terminal=True, width=120))
    assert f"fetching points.h5 from {url}" in out.getvalue()
    assert "256.0/256.0 kB" in out.getvalue()
    assert "left" in out.getvalue()


def test_the_record_is_readable_by_people(mirror: MirrorServer, folder: Path):
    get(card(archive_source(mirror, zipped(TREE))), folder)
    written = json.loads((folder / RECORD_NAME).read_text())
    assert written == {
        "unfinished": [],
        "files": {
            "tiny.zip": {
                "sha256": sha256(zipped(TREE)),
                "unpacked": ["chair", "lamp", "train.txt"],
                "unpacked_from": sha256(zipped(TREE)),
            }
        },
    }
