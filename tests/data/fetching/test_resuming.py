"""A download that broke off is gone on with, under the version it began with."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.downloads import CONTENT, OTHER, card, get, is_whole, parts, refusal, seen, source
from helpers.mirror_server import Answer, MirrorServer


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
