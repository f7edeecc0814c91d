"""Tables of text, as commands print them."""

from collections.abc import Sequence


def align(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells one below the other, the first column to the left, others right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
