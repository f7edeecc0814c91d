"""Lists of names that lie beside data: a name a line, or a JSON list."""

import json
import unicodedata
from pathlib import Path

from pc_crvae.data.formats.text import reason
from pc_crvae.errors import UserError

_LONGEST = 255
"""Bytes of a name, as file systems have it."""


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file that are not empty, stripped; tabs may divide a line.

    Raises:
        UserError: it is missing, no text, has none, or one that cannot be a name.
    """
    lines = [line.strip() for line in _read(path).splitlines() if line.strip()]
    if not lines:
        raise UserError(f"{path} is empty: it should hold a name a line")
    if not all(is_name(line.replace("\t", " ")) for line in lines):
        raise UserError(f"{path} should hold a name a line, and has a line that is none")
    return lines


def read_json_names(path: Path, kind: str) -> list[str]:
    """Return the names of a JSON list.

    Args:
        path: of the list.
        kind: what is named, for the sentence of an error.

    Raises:
        UserError: it is missing or damaged, or holds something else.
    """
    text = _read(path)
    try:
        names = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as JSON: {reason(error)}") from error
    if not isinstance(names, list) or not all(
        isinstance(name, str) and is_name(name) for name in names
    ):
        raise UserError(f"{path} should hold a list of {kind} names")
    return names


def is_name(text: str) -> bool:
    """Whether a text can be a name: it can be stored, is not too long and has no line breaks."""
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        return False
    return len(text.encode()) <= _LONGEST


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: is this the right folder?") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text: {reason(error)}") from error
