"""Clouds written as text: one point per line, coordinates first, commas or blanks between."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.arrays import check_not_transposed
from pc_crvae.data.formats.columns import (
    coordinate_columns,
    counts_columns,
    find_coordinates,
    normal_columns,
    split_header,
)
from pc_crvae.errors import UserError, told
from pc_crvae.utils.texts import decoded

_COMMENTS = ("#", "//")
_FEWEST_COUNTED = 10
"""Lines that are not counted from 0 or 1 by chance."""


def parse_text(path: Path, content: bytes, columns: int = 3) -> NDArray[np.float64]:
    """Parse the coordinates of each line, or coordinates and normals: (N, columns).

    Commas, semicolons, tabs or blanks lie between the numbers, the same throughout; between
    semicolons a comma is a decimal point. Numbers may be quoted. Lines that are empty or start with
    ``#`` or ``//`` are passed over. The first line may be the number of points, as in ``.pts``
    files. Where names of the columns head the table, in a line of its own or in the comment just
    above it, they say which columns are read; otherwise it is the first ones, and the others are
    ignored.

    Args:
        path: the file, for the sentence of an error.
        content: what the file holds.
        columns: 3 for coordinates, 6 for normals behind them.

    Raises:
        UserError: it is no text, a line does not start with numbers, the number of points is not
            the one promised, the names do not tell which columns are wanted, or the table seems to
            be transposed or to have a column that counts its lines in front.
    """
    lines = text_lines(path, content)
    comment = None
    while lines and lines[0].startswith(_COMMENTS):
        comment = lines.pop(0)
    lines = [_unquoted(path, line) for line in lines if not line.startswith(_COMMENTS)]
    promised = None
    if len(lines) > 1 and re.fullmatch("[0-9]+", lines[0]):
        promised = lines.pop(0)
    names = _names(lines)
    head = lines.pop(0) if names is not None else ""
    if not lines:
        raise UserError(f"{path} holds no points")
    if promised is not None and promised.lstrip("0") != str(len(lines)):
        raise UserError(
            f"{path} promises {promised[:20]} points and holds {len(lines)}: is it cut short?"
        )
    delimiter = _delimiter(lines[0])
    width = len(_fields(lines[0]))
    if names is not None and len(names) < 3 and not {"x", "y", "z"} & {n.lower() for n in names}:
        names = None  # a title
    if names is not None and len(names) > width and "\t" in head:
        names = split_header(head, "\t")  # some names have blanks in them
    if names is None and comment is not None:
        commented = split_header(comment.lstrip("#/"), _delimiter(comment))
        if len(commented) == width and find_coordinates(commented) is not None:
            names = commented
    if names is None:
        check_not_transposed(path, (len(lines), width))
        rows = parse_rows(path, lines, range(columns), delimiter)
        if width > columns and len(rows) >= _FEWEST_COUNTED:
            _check_not_counted(path, rows[:, 0])
        return rows
    wanted = coordinate_columns(path, names)
    if columns > 3:
        wanted += normal_columns(path, names)
    if len(names) > width + names.count(""):
        raise UserError(f"{path} names {len(names)} columns and has {width}: name each of them")
    if width == len(names) + 1 and _fields(lines[0])[0] in ("0", "1"):
        raise UserError(
            f"{path} names {len(names)} columns and has {width}, of which the first seems to count "
            "the lines: name it too, or leave it out"
        )
    return parse_rows(path, lines, wanted, delimiter)


def _names(lines: Sequence[str]) -> list[str] | None:
    """Return the names that the first line gives; None where it is one of numbers."""
    if not lines:
        return None
    delimiter = _delimiter(lines[0])
    names = split_header(lines[0], delimiter)
    # A line that is numbers in part is no head but a damaged point.
    if not any(_is_number(field) for field in _fields(lines[0])):
        return names
    separator = "\t" if delimiter is None and "\t" in lines[0] else delimiter
    if separator is None and len(lines) > 1 and re.search("[.eE]", lines[1]):
        separator = " "  # a point of whole numbers before others would be a wonder
    return names if counts_columns(names, separator) else None


def _check_not_counted(path: Path, first: NDArray[np.float64]) -> None:
    if first[0] in (0, 1) and np.array_equal(first, np.arange(len(first)) + first[0]):
        raise UserError(
            f"{path} has a first column that counts the lines: leave it out, or name the columns, "
            "so that the coordinates can be told"
        )


def text_lines(path: Path, content: bytes) -> list[str]:
    """Return the lines of a file that are not empty, stripped.

    Raises:
        UserError: it is no text.
    """
    try:
        text = decoded(content)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is no text: the byte at {error.start} is not {error.encoding.upper()}, so the "
            "file is damaged or of another kind"
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
        delimiter: the character between columns; None for blanks.

    Raises:
        UserError: a line has too few columns or one that is no number.
    """
    if delimiter == ";" and any("," in line for line in lines):
        lines = _with_decimal_points(path, lines, columns)
        columns = range(len(columns))
    with told(f"{path} has a line that is not one of numbers", ValueError, OverflowError):
        rows: NDArray[np.float64] = np.loadtxt(
            lines, comments=None, delimiter=delimiter, usecols=columns, ndmin=2
        )
    return rows


def _unquoted(path: Path, line: str) -> str:
    """Return a line without quotes; a delimiter between quotes becomes a blank.

    Raises:
        UserError: a field is longer than any of a table.
    """
    if '"' not in line:
        return line
    delimiter = _delimiter(re.sub('"[^"]*"', "", line))
    if delimiter is None:
        return line
    with told(f"{path} has a line that is not one of numbers", csv.Error):
        (fields,) = csv.reader([line], delimiter=delimiter, skipinitialspace=True)
    return delimiter.join(field.replace(delimiter, " ").strip() for field in fields)


def _with_decimal_points(path: Path, lines: Sequence[str], columns: Sequence[int]) -> list[str]:
    """Return some columns between semicolons, where spreadsheets write decimal commas.

    Raises:
        UserError: commas and points are both there, so that one of them parts thousands.
    """
    rows = [line.split(";") for line in lines]
    wanted = [";".join(row[c] for c in columns if c < len(row)) for row in rows]
    with_comma = next((row for row in wanted if "," in row), None)
    if with_comma is not None and any("." in row for row in wanted):
        raise UserError(
            f"{path} has a line that is not one of numbers: in {with_comma[:40]!r} is a comma, and "
            "other numbers have points; write all with points, and nothing between thousands"
        )
    return [row.replace(",", ".") for row in wanted]


def _delimiter(line: str) -> str | None:
    return next((mark for mark in ";," if mark in line), None)


def _fields(line: str) -> list[str]:
    fields = [field.strip().strip("\"'").strip() for field in line.split(_delimiter(line))]
    return [field.replace(",", ".") for field in fields]


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
