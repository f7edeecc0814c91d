"""Tables and numbers as a page has them."""

import math
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; columns of numbers are set to the right."""
    is_number = [False, *[True] * (len(head) - 1)]
    body = [list(row) for row in rows]
    for column in range(1, len(head)):
        is_number[column] = all(row[column].strip("*")[:1] in "0123456789" for row in body)
    rule = ["---:" if number else "---" for number in is_number]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *body])


def number_text(value: float | None) -> str:
    """Three significant digits, without an exponent."""
    if value is None:
        return ""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 3)}f}"
