"""Tables: one table as text for a terminal, and as Markdown, CSV or LaTeX for a paper."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pc_crvae.errors import UserError
from pc_crvae.utils.files import write_text
from pc_crvae.utils.templates import template_beside


@dataclass(frozen=True)
class Table:
    """A table and what has to be told of it.

    Attributes:
        columns: the titles, that of the names of the rows first.
        rows: the cells, as many a row as there are columns.
        protocol: a paragraph to paste that says how the numbers were made.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    protocol: str = ""

    @classmethod
    def of_cells(
        cls,
        corner: str,
        cells: Mapping[tuple[str, str], str],
        *,
        columns: Iterable[str] = (),
        protocol: str = "",
    ) -> Self:
        """Lay out cells by row and column, which come in the order in which they first occur.

        Args:
            corner: the title of the names of the rows.
            cells: the cells by the names of row and column; those that are not there are empty.
            columns: names that come first, in this order, where they occur.
            protocol: the paragraph.
        """
        occur = dict.fromkeys(column for _, column in cells)
        ordered = list(dict.fromkeys([*(name for name in columns if name in occur), *occur]))
        names = dict.fromkeys(row for row, _ in cells)
        rows = [[name, *(cells.get((name, column), "") for column in ordered)] for name in names]
        return cls([corner, *ordered], rows, protocol)

    def text(self) -> str:
        """Lay it out for a terminal: the first column to the left, others right.

        A row of its name alone is a title of what follows, which makes no column wider.
        """
        lines = [self.columns, *self.rows]
        cells = [line for line in lines if any(line[1:]) or len(line) == 1]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def markdown(self) -> str:
        """Lay it out as Markdown, without the paragraph."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
        )

    def csv(self) -> str:
        """Lay it out as CSV; what stands before and behind a ± are columns of their own."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = zip(self.columns, *self.rows, strict=True)
        has_spread = [any(" ± " in cell for cell in column) for column in columns]
        titles = [(title, f"{title} std") for title in self.columns]
        cells = [[cell.partition(" ± ")[::2] for cell in row] for row in self.rows]
        for line in (titles, *cells):
            pairs = zip(line, has_spread, strict=True)
            writer.writerow(part for pair, both in pairs for part in (pair if both else pair[:1]))
        return text.getvalue()

    def latex(self) -> str:
        """Lay it out as LaTeX with booktabs; the paragraph is its caption."""
        return template_beside(__file__, "table.tex").render(
            columns=map(_escaped, self.columns),
            rows=[map(_escaped, row) for row in self.rows],
            caption=_escaped(self.protocol),
            numbers="r" * (len(self.columns) - 1),
        )

    def write(self, path: Path) -> None:
        """Write it in the format that the file's suffix names; CSV has no place for the paragraph.

        Raises:
            UserError: the suffix names none, or the file cannot be written.
        """
        check_table_path(path)
        text = {
            ".md": lambda: f"{self.markdown()}\n\n{self.protocol}\n",
            ".csv": self.csv,
            ".tex": self.latex,
        }[path.suffix]()
        write_text(path, text)


def check_table_path(path: Path) -> None:
    """Refuse a file whose suffix names no format.

    Raises:
        UserError: it ends otherwise than in .md, .csv or .tex.
    """
    if path.suffix not in (".md", ".csv", ".tex"):
        raise UserError(f"the table {path} must end in .md, .csv or .tex: that chooses its form")


_TEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{sign: rf"\{sign}" for sign in "%&_#${}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "°": r"$^\circ$",
        "λ": r"$\lambda$",
        "<": r"$<$",
        ">": r"$>$",
    }
)


def _escaped(text: str) -> str:
    return text.translate(_TEX)


def with_spread(mean: float, std: float | None, digits: int) -> str:
    """Return a number as text, with its deviation where there is one."""
    return f"{mean:.{digits}f}" + ("" if std is None else f" ± {std:.{digits}f}")
