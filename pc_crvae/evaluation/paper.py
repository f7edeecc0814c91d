"""Tables for papers: one table as Markdown, CSV or LaTeX, with the protocol as a paragraph."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pc_crvae.errors import UserError
from pc_crvae.utils.files import atomic_path


@dataclass(frozen=True)
class PaperTable:
    """A table and what has to be told of it.

    Attributes:
        columns: the titles, that of the names of the rows first.
        rows: the cells, as many a row as there are columns.
        protocol: a paragraph to paste that says how the numbers were made.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    protocol: str

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("every row should have a cell a column")


def markdown_of(table: PaperTable) -> str:
    """Lay a table out as Markdown, the protocol's paragraph below it."""
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    shown = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([*shown, "", table.protocol, ""])


def csv_of(table: PaperTable) -> str:
    """Lay a table out as CSV; what stands before and behind a ± are columns of their own.

    The paragraph has no place in it.
    """
    parted = [[_parted(cell) for cell in row] for row in table.rows]
    spread = [any(len(row[column]) > 1 for row in parted) for column in range(len(table.columns))]
    titles = [
        name
        for title, has_spread in zip(table.columns, spread, strict=True)
        for name in ((title, f"{title} std") if has_spread else (title,))
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(titles)
    for row in parted:
        writer.writerow(
            part
            for cell, has_spread in zip(row, spread, strict=True)
            for part in ((*cell, "")[:2] if has_spread else cell)
        )
    return text.getvalue()


def latex_of(table: PaperTable) -> str:
    """Lay a table out as LaTeX with booktabs; the protocol's paragraph is its caption."""
    lines = [" & ".join(map(_escaped, row)) + r" \\" for row in table.rows]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            rf"\caption{{{_escaped(table.protocol)}}}",
            r"\centering",
            rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
            r"\toprule",
            " & ".join(map(_escaped, table.columns)) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


_FORMATS: dict[str, Callable[[PaperTable], str]] = {
    ".md": markdown_of,
    ".csv": csv_of,
    ".tex": latex_of,
}


def check_table_path(path: Path) -> None:
    """Refuse a file whose suffix names no format.

    Raises:
        UserError: it ends otherwise than in .md, .csv or .tex.
    """
    if path.suffix not in _FORMATS:
        raise UserError(f"the table {path} must end in .md, .csv or .tex: that chooses its form")


def write_table(table: PaperTable, path: Path) -> None:
    """Write a table in the format that the file's suffix names.

    Raises:
        UserError: the suffix names none, or the file cannot be written.
    """
    check_table_path(path)
    with atomic_path(path) as temporary:
        temporary.write_text(_FORMATS[path.suffix](table), encoding="utf-8")


_TEX = {
    "\\": r"\textbackslash{}",
    "%": r"\%",
    "&": r"\&",
    "_": r"\_",
    "#": r"\#",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "°": r"$^\circ$",
    "λ": r"$\lambda$",
    "<": r"$<$",
    ">": r"$>$",
}


def _escaped(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)


def _parted(cell: str) -> tuple[str, ...]:
    mean, sign, spread = cell.partition(" ± ")
    return (mean, spread) if sign else (cell,)
