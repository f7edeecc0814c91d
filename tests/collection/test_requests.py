"""Which requests a server takes for its page's own, by where it listens."""

import socket

import pytest

from pc_crvae.collection.requests import Gate, RefusedError, name_of


def admits(gate, host, origin=None, target=None):
    try:
        gate.admit(target or f"/{gate.token}/", host, origin)
    except RefusedError:
        return False
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_a_server_of_this_machine_has_names_of_this_machine_alone(host):
    gate = Gate(host)
    for own in ("127.0.0.1:80", "localhost", "[::1]:8", "127.9.9.9"):
        assert admits(gate, own)
    for other in ("10.1.2.3", "192.168.0.1:80", "0.0.0.0", "a.example", "localhost.a.example"):
        assert not admits(gate, other)
    assert not admits(gate, f"{socket.gethostname()}x")
    assert not admits(gate, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1"])
def test_a_server_of_a_network_has_addresses_and_the_name_of_its_machine(host):
    gate = Gate(host)
    for own in ("10.1.2.3", "[fe80::1]:80", socket.gethostname(), "localhost:1"):
        assert admits(gate, own)
    for other in ("a.example", f"{socket.gethostname()}.a.example", "[", ""):
        assert not admits(gate, other)


def test_a_name_that_was_given_is_the_servers_own():
    assert admits(Gate("Studio.local"), "studio.LOCAL:9000")
    assert not admits(Gate("Studio.local"), "other.local")


def test_the_origin_is_that_of_the_host_that_was_asked():
    gate = Gate("127.0.0.1")
    assert admits(gate, "localhost:9000", "http://localhost:9000")
    assert not admits(gate, "localhost:9000", "http://localhost:9001")
    assert not admits(gate, "localhost:9000", "http://127.0.0.1:9000")


def test_the_token_stands_first_and_whole():
    gate = Gate("127.0.0.1")
    for target in ("/", "//", f"/{gate.token[:-1]}/", f"/x/{gate.token}/", f"/?{gate.token}", "*"):
        assert not admits(gate, "localhost", target=target)
    assert gate.admit(f"/{gate.token}/nearest?name=a%20b&name=c", "localhost", None) == (
        "nearest",
        {"name": "c"},
    )


def test_a_name_has_no_folders():
    assert name_of({"name": "a/b\\c.off"}) == "c.off"
    assert name_of({"name": "100%25.off"}) == "100%25.off"
    assert name_of({"name": "x/"}) == name_of({}) == "the file"
    assert name_of({"name": "a" * 999 + ".off"}).endswith("aaa.off")
