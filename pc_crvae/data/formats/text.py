"""Clouds written as text: a point a line, its coordinates first, with commas or blanks between."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pc_crvae.errors import UserError, reason_of


def parse_text(path: Path, content: bytes, columns: int = 3) -> NDArray[np.float64]:
    """Parse the first ``columns`` numbers of each line: (N, columns).

    Commas, semicolons or blanks lie between the numbers, the same throughout. Lines that are
    empty or start with ``#`` or ``//`` are passed over, and what follows the columns wanted is
    ignored. The first line may be the number of points, as in ``.pts`` files, or names of the
    columns; where those name x, y and z, the coordinates are read from there.

    Args:
        path: the file, for the sentence of an error.
        content: what the file holds.
        columns: numbers a line.

    Raises:
        UserError: it is no text, a line does not start with numbers, or the number of points is
            not the one promised.
    """
    lines = [line for line in text_lines(path, content) if not line.startswith(("#", "//"))]
    wanted = list(range(columns))
    promised = None
    if len(lines) > 1 and re.fullmatch("[0-9]+", lines[0]):
        promised = lines.pop(0)
    # A line that is numbers in part is no header but a damaged point.
    if lines and not any(_is_number(field) for field in _fields(lines[0])):
        names = [field.strip("\"'").lower() for field in _fields(lines.pop(0))]
        if {"x", "y", "z"} <= set(names):
            start = [names.index(axis) for axis in "xyz"]
            wanted = [*start, *(column + start[0] for column in range(3, columns))]
    if not lines:
        raise UserError(f"{path} holds no points")
    if promised is not None and promised.lstrip("0") != str(len(lines)):
        raise UserError(
            f"{path} promises {promised[:20]} points and holds {len(lines)}: is it cut short?"
        )
    return parse_rows(path, lines, wanted, _delimiter(lines[0]))


def text_lines(path: Path, content: bytes) -> list[str]:
    """Return the lines of a file that are not empty, stripped.

    Raises:
        UserError: it is no text.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is no text: the byte at {error.start} is not UTF-8, so the file is damaged "
            "or of another kind"
        ) from error
    return [stripped for line in text.splitlines() if (stripped := line.strip())]


def parse_rows(
    path: Path, lines: Sequence[str], columns: Sequence[int], delimiter: str | None = None
) -> NDArray[np.float64]:
    """Parse some columns of lines of numbers: (len(lines), len(columns)).

    Args:
        path: the file, for the sentence of an error.
        lines: one or more, none of them empty.
        columns: numbers of the columns wanted, in their order.
        delimiter: between the columns; None for blanks.

    Raises:
        UserError: a line has too few columns or one that is no number.
    """
    try:
        rows: NDArray[np.float64] = np.loadtxt(
            lines, comments=None, delimiter=delimiter, usecols=columns, ndmin=2
        )
    except (ValueError, OverflowError) as error:
        raise UserError(
            f"{path} has a line that is not one of numbers: {reason_of(error)}"
        ) from error
    return rows


def _delimiter(line: str) -> str | None:
    return next((mark for mark in ";," if mark in line), None)


def _fields(line: str) -> list[str]:
    return [field.strip() for field in line.split(_delimiter(line))]


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
