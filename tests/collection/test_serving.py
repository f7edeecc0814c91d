"""The server as browsers, programs and strangers meet it."""

import http.client
import json
import socket
import tempfile
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import trimesh

import pc_crvae
from helpers.bent_shapes import bracket
from pc_crvae.collection import serving as served
from pc_crvae.collection.dropped import DroppedReader
from pc_crvae.collection.serving import serving
from pc_crvae.errors import UserError
from pc_crvae.models.descriptors.descriptor import Descriptor
from pc_crvae.models.exports import write_export
from pc_crvae.runs.saved import SavedModel

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    write_export(Descriptor("bps", frames="so3", points=128).eval(), folder / "model")
    parts = folder / "parts"
    parts.mkdir()
    bracket().export(parts / f"{EVIL}.off")
    for row in range(4):
        rod = trimesh.creation.cylinder(radius=0.1 + row / 20, height=2, sections=12)
        rod.export(parts / f"rod{row}.stl")
    return pc_crvae.explore(parts, out=folder / "out", model=folder / "model")


@pytest.fixture(scope="module")
def saved(explored):
    return SavedModel.open(explored.out.parent / "model", "last", device="cpu")


@pytest.fixture(scope="module")
def address(explored, saved):
    with serving(explored.page, explored.collection.embeddings, saved) as address:
        yield address


def ask(address, place="", *, method="GET", body=None, headers=None, token=None):
    """The status, headers and body of an answer."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=600)
    path = parts.path if token is None else f"/{token}/"
    connection.request(method, path + place, body, headers or {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def look_up(address, name, content, **more):
    place = f"nearest?name={quote(name)}"
    status, _, answer = ask(address, place, method="POST", body=content, **more)
    return status, json.loads(answer)


def refusal(answer):
    status, _, content = answer
    return status, json.loads(content)["refused"]


def left_behind():
    """Files that came with requests and are still there."""
    folders = Path(tempfile.gettempdir()).glob("pc-crvae-*")
    return [file for folder in folders for file in folder.iterdir()]


def test_the_page_may_ask_its_server_and_nobody_else(address, explored):
    status, headers, content = ask(address)
    page, kept = content.decode(), explored.page.read_text(encoding="utf-8")
    assert status == 200
    assert "default-src 'none'" in page
    assert page.count("connect-src 'self'") == 1
    assert "connect-src" not in kept
    assert f'<body data-most-sent="{served.MOST_SENT}">' in page
    assert "data-most-sent" not in kept
    assert EVIL not in page
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"


def test_a_copy_finds_its_original_first_at_distance_nothing(address, explored):
    content = (explored.out.parent / "parts" / f"{EVIL}.off").read_bytes()
    status, found = look_up(address, "copy.off", content)
    assert status == 200
    first, second = found["nearest"][:2]
    assert first["id"] == EVIL
    assert first["path"].endswith(f"{EVIL}.off")
    assert first["distance"] < 1e-9 < second["distance"]
    assert first["share"] == 1
    assert len(found["nearest"]) == 5
    assert found["facts"]["triangles"] == len(bracket().faces)
    assert left_behind() == []


@pytest.mark.parametrize("token", ["", "wrong", "x/../"])
def test_without_the_token_nothing_is_told(address, token):
    for method in ("GET", "POST"):
        status, sentence = refusal(ask(address, "nearest", method=method, token=token))
        assert status == 403
        assert "token" in sentence


def test_a_name_that_was_made_to_mean_this_machine_is_refused(address):
    port = urlsplit(address).port
    for host in (f"evil.example:{port}", "evil.example", "[", "10.0.0.7", ""):
        status, sentence = refusal(ask(address, headers={"Host": host}))
        assert status == 403
        assert "Host" in sentence
    for host in (f"localhost:{port}", "LOCALHOST:1", "[::1]:9", "127.0.0.1"):
        assert ask(address, headers={"Host": host})[0] == 200


def test_a_page_of_another_origin_is_refused(address):
    parts = urlsplit(address)
    own = f"{parts.scheme}://{parts.netloc}"
    for origin in ("http://evil.example", "null", f"https://{parts.netloc}", f"{own}1", ""):
        status, found = look_up(address, "a.off", b"OFF", headers={"Origin": origin})
        assert status == 403
        assert "origin" in found["refused"]
    status, found = look_up(address, "a.off", b"OFF", headers={"Origin": own})
    assert status == 200


@pytest.mark.parametrize(
    "place", ["../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "parts/rod0.stl", "/etc/passwd"]
)
def test_no_file_has_an_address(address, place):
    status, sentence = refusal(ask(address, place))
    assert status == 404
    assert "nothing at this address" in sentence
    assert refusal(ask(address, place, method="POST", body=b""))[0] == 404


def test_a_name_with_folders_writes_nowhere_else(address, explored, tmp_path):
    content = (explored.out.parent / "parts" / "rod1.stl").read_bytes()
    target = tmp_path / "written.stl"
    status, found = look_up(address, f"../../../..{target}", content)
    assert status == 200
    assert found["nearest"][0]["id"] == "rod1"
    assert found["name"] == "written.stl"
    assert not target.exists()


def test_a_file_cannot_have_another_one_read(address, tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(36))
    for uri in (f"../../../..{secret}", secret.as_uri(), str(secret)):
        scene = {"asset": {"version": "2.0"}, "buffers": [{"uri": uri, "byteLength": 36}]}
        status, found = look_up(address, "a.gltf", json.dumps(scene).encode())
        assert status == 200
        assert "outside its own folder" in found["refused"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("bad.off", b"OFF\n", "bad.off"),
        ("empty.stl", b"", "empty.stl"),
        ("flat.xyz", b"0 0 0\n0 0 0\n", "flat.xyz"),
        ("a.docx", b"PK", "is no shape by its name"),
        (f"{EVIL}.off", b"\x00\xff", EVIL),
        ("noname", b"", "noname is no shape"),
        ("break\r\nX-Evil: 1.off", b"OFF", "break\\r\\nX-Evil: 1.off"),
    ],
)
def test_a_file_that_is_no_shape_is_refused_in_a_sentence(address, name, content, words):
    status, found = look_up(address, name, content)
    assert status == 200
    assert words in found["refused"]
    assert "pc-crvae-" not in found["refused"]
    assert "\n" not in found["refused"]
    assert left_behind() == []


def test_what_is_too_large_or_does_not_say_is_not_taken_in(address):
    for length, expected in ((str(served.MOST_SENT + 1), 413), ("9" * 5000, 413), ("-1", 411)):
        headers = {"Content-Length": length}
        status, sentence = refusal(ask(address, "nearest", method="POST", headers=headers))
        assert status == expected
        assert "256 MB" in sentence or "length" in sentence


def test_a_file_that_stops_half_way_is_refused(address):
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), timeout=600) as connection:
        request = f"POST {parts.path}nearest?name=a.off HTTP/1.0\r\nHost: {parts.netloc}\r\n"
        connection.sendall(f"{request}Content-Length: 1000\r\n\r\nOFF".encode())
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
    assert b" 408 " in answer.splitlines()[0]
    assert b"did not come whole" in answer
    assert left_behind() == []


def test_many_at_once_are_told_to_wait(address):
    parts = urlsplit(address)
    request = f"POST {parts.path}nearest?name=a.off HTTP/1.0\r\nHost: {parts.netloc}\r\n"
    begun = []
    try:
        for _ in range(served._MOST_AT_ONCE):
            connection = socket.create_connection((parts.hostname, parts.port), timeout=600)
            connection.sendall(f"{request}Content-Length: 1000\r\n\r\n".encode())
            begun.append(connection)
        while len(left_behind()) < served._MOST_AT_ONCE:
            time.sleep(0.02)
        status, found = look_up(address, "a.off", b"OFF")
        assert status == 503
        assert "try again" in found["refused"]
    finally:
        for connection in begun:
            connection.close()
    while left_behind():
        time.sleep(0.02)
    assert look_up(address, "a.off", b"OFF")[0] == 200


def test_the_temporary_folder_goes_with_the_server(explored, saved):
    before = set(Path(tempfile.gettempdir()).glob("pc-crvae-*"))
    with serving(explored.page, explored.collection.embeddings, saved) as address:
        (own,) = set(Path(tempfile.gettempdir()).glob("pc-crvae-*")) - before
        port = urlsplit(address).port
    assert not own.exists()
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", port), timeout=600)


def test_each_start_has_a_token_of_its_own(explored, saved, address):
    with serving(explored.page, explored.collection.embeddings, saved) as other:
        assert urlsplit(other).path != urlsplit(address).path
        assert len(urlsplit(other).path) > 24
        status, _ = refusal(ask(other, token=urlsplit(address).path.strip("/")))
        assert status == 403


def test_what_cannot_be_served_is_told_in_a_sentence(explored, saved, address, tmp_path):
    embeddings = explored.collection.embeddings

    def refused(page, match, **options):
        with (
            pytest.raises(UserError, match=match),
            serving(page, embeddings, saved, **options),
        ):
            pass

    refused(explored.page, "in use.*choose another", port=urlsplit(address).port)
    refused(explored.page, "from 0 to 65535", port=70_000)
    refused(explored.page, "cannot be listened on", host="no such host")
    refused(tmp_path / "none.html", "cannot be read")
    other = tmp_path / "other.html"
    text = explored.page.read_text(encoding="utf-8")
    other.write_text(text.replace('"rod0"', '"rod9"'), encoding="utf-8")
    refused(other, "shows other shapes")
    other.write_text(text[: len(text) // 2], encoding="utf-8")
    refused(other, "shows other shapes")
    other.write_text(text.replace('id="drop"', ""), encoding="utf-8")
    refused(other, "another version")
    model = SavedModel.open("pretrained", "last", device="cpu")
    with (
        pytest.raises(UserError, match="another model"),
        serving(explored.page, embeddings, model),
    ):
        pass


@pytest.mark.slow
def test_a_file_that_takes_too_long_is_refused_and_the_next_one_is_read(explored):
    rod = explored.out.parent / "parts" / "rod1.stl"
    with closing(DroppedReader(100, "z", seconds=0.05)) as reader:
        with pytest.raises(UserError, match=r"rod1\.stl took more than the 0\.05 seconds"):
            reader.read(rod)  # the process is not ready so soon
        reader._seconds = 300
        assert reader.read(rod)[0].shape == (100, 3)


@pytest.mark.slow
def test_a_reader_that_is_ended_is_told_and_the_next_one_is_read(explored):
    rod = explored.out.parent / "parts" / "rod1.stl"
    with closing(DroppedReader(100, "z")) as reader:
        reader.start()
        assert reader._worker is not None
        reader._worker._process.kill()
        reader._worker._process.wait()
        assert len(reader.read(rod)[0]) == 100
