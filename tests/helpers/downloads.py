"""A small card with files at a mirror, and what a fetch of it leaves in a folder."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from rich.console import Console

from pc_crvae.data.cards import Card, Source, load_card
from pc_crvae.data.fetching.download import fetch
from pc_crvae.data.fetching.record import refuse_unfinished
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
