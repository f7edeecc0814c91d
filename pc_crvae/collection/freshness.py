"""Whether a page still shows what a new run would find, so that it is not made anew."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pc_crvae.collection.served_page import content_of
from pc_crvae.collection.store import state_of
from pc_crvae.data.readers.shape_files import FoundShapes
from pc_crvae.embedding.index import About, Embeddings, about_text
from pc_crvae.version import __version__


def made_of_files(found: FoundShapes, about: About) -> str:
    """Return what a page depends on, as a digest in hex: its files, and how they are embedded.

    A file counts as the same one as long as its size and the time of its last change are.

    Args:
        found: the shapes, and what was passed over.
        about: the model and the settings that embed them.
    """
    others = [str(path) for paths in found.passed_over.values() for path in paths]
    files = [[file.id, state_of(file.path)] for file in found.files]
    return _digest([about_text(about), files, sorted(others)])


def made_of_index(index: Embeddings) -> str:
    """Return the same of an index, and of the files that its shapes came from."""
    vectors = hashlib.sha256(index.vectors.tobytes()).hexdigest()
    states = [state_of(Path(source)) for source in index.sources if source]
    return _digest([about_text(index.about), index.ids, index.sources, vectors, states])


def fresh_content(page: Path, made_of: str, beside: Iterable[Path]) -> dict[str, Any] | None:
    """Return what a page carries; None unless it shows what it would show if it were made anew.

    Args:
        page: the page, which may be missing.
        made_of: what it would be made of.
        beside: the files that are made with it.
    """
    if not all(path.is_file() for path in (page, *beside)):
        return None
    try:
        content = content_of(page.read_text(encoding="utf-8"))
    except UnicodeDecodeError:  # damaged
        return None
    return content if content.get("madeOf") == made_of else None


def _digest(parts: list[object]) -> str:
    return hashlib.sha256(json.dumps([__version__, *parts]).encode()).hexdigest()
