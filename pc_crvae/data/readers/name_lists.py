"""Lists of names that lie beside data: one name per line, or a JSON list."""

import json
import unicodedata
from pathlib import Path, PurePosixPath

from pc_crvae.errors import UserError, told
from pc_crvae.utils.texts import decoded

_LONGEST = 255
"""Bytes of a name, as file systems have it."""


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file that are not empty, stripped; tabs may divide a line.

    Raises:
        UserError: it is missing, no text, has none, or one that cannot be a name.
    """
    lines = [line.strip() for line in _read(path).splitlines() if line.strip()]
    if not lines:
        raise UserError(f"{path} is empty: it should hold one name per line")
    if not all(is_name(line.replace("\t", " ")) for line in lines):
        raise UserError(f"{path} should hold one name per line, and has a line that is none")
    return lines


def read_json_names(path: Path, kind: str) -> list[str]:
    """Return the names of a JSON list.

    Args:
        path: the list.
        kind: what is named, for the sentence of an error.

    Raises:
        UserError: it is missing or damaged, or holds something else.
    """
    text = _read(path)
    with told(f"{path} cannot be read as JSON", ValueError, RecursionError):
        names = json.loads(text)
    if not isinstance(names, list) or not all(
        isinstance(name, str) and is_name(name) for name in names
    ):
        raise UserError(f"{path} should hold a list of {kind} names")
    return names


def listed_files(list_path: Path) -> list[Path]:
    """Return the files that a list names, one file per line.

    Raises:
        UserError: the list or one of them is missing.
    """
    paths = []
    for line in read_lines(list_path):
        as_given, beside = _candidates(list_path, line)
        path = as_given if as_given.is_file() else beside
        if not path.is_file():
            raise UserError(f"{path} is missing, though {list_path.name} lists it")
        paths.append(path)
    return paths


def listed_candidates(list_path: Path) -> list[Path]:
    """Return every place where the files are looked for that a list names.

    Raises:
        UserError: the list is missing.
    """
    return [path for line in read_lines(list_path) for path in _candidates(list_path, line)]


def _candidates(list_path: Path, line: str) -> tuple[Path, Path]:
    # The official lists carry the prefix of their authors' machine, so the bare name counts.
    line = as_posix(line)
    return list_path.parent / line, list_path.parent / PurePosixPath(line).name


def as_posix(name: str) -> str:
    """Return a path with slashes, which Windows writes with backslashes."""
    return name.replace("\\", "/")


def read_names(path: Path, of: Path, count: int, kind: str) -> list[str]:
    """Read a JSON list of one name per cloud.

    Args:
        path: the list.
        of: the file whose clouds it names.
        count: how many clouds it has.
        kind: what it names, ``mesh`` or ``class``, for the sentence of an error.

    Raises:
        UserError: it is missing or damaged, or not of that length.
    """
    names = read_json_names(path, kind)
    if len(names) != count:
        raise UserError(f"{path} names {len(names)} {kind}es for the {count} of {of.name}")
    return names


def is_name(text: str) -> bool:
    """Whether a text can be a name: it can be stored, is not too long and has no line breaks."""
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        return False
    return len(text.encode()) <= _LONGEST


def _read(path: Path) -> str:
    with told(f"{path} cannot be read as text", OSError, UnicodeDecodeError):
        if not path.exists():
            raise UserError(f"{path} is missing: is this the right folder?")
        return decoded(path.read_bytes())
