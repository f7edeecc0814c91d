"""A mirror of this machine, a folder to fetch into, and archives that are refused."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.archive_writers import Refused
from helpers.mirror_server import MirrorServer, mirror_server
from pc_crvae.data.fetching import download, transfer
from pc_crvae.data.fetching.archives import ArchiveRejected, unpack
from pc_crvae.errors import UserError


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
