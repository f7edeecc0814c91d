"""Servers that redirect, drip, lie about sizes or fall silent."""

import socket
import time
from pathlib import Path

import pytest
import requests

from helpers.downloads import CONTENT, card, get, refusal, seen, source
from helpers.mirror_server import Answer, MirrorServer
from pc_crvae.data.fetching import transfer
from pc_crvae.data.fetching.transfer import TransferError


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
