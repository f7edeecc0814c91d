"""A confusion matrix as an element of a page, whose names and numbers are text."""

import html
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

MOST_CLASSES = 60
"""A table of more would be too large to be read, or sent."""

_COLOR = "47, 103, 177"
_PAIRS = 10


def confusion_table(matrix: ArrayLike, classes: Sequence[str]) -> str:
    """Return a table of counts, coloured by their share of the true class.

    Args:
        matrix: counts (C, C), row the true class, column the predicted one.
        classes: C names.

    Returns:
        The table, or for more than `MOST_CLASSES` nothing but the commonest confusions; below
        either, for any number, those in words.

    Raises:
        ValueError: the matrix is not (C, C) of counts.
    """
    counts = np.asarray(matrix)
    if counts.shape != (len(classes), len(classes)) or counts.size == 0:
        raise ValueError(f"expected counts ({len(classes)}, {len(classes)}), got {counts.shape}")
    if counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ValueError("a confusion matrix holds counts, none negative")
    table = _table(counts, classes) if len(classes) <= MOST_CLASSES else ""
    return table + _commonest(counts, classes)


def _table(counts: np.ndarray, classes: Sequence[str]) -> str:
    names = [html.escape(name) for name in classes]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    heads = "".join(f'<th scope="col"><span>{name}</span></th>' for name in names)
    lines = [f'<tr><td class="corner">true \\ predicted</td>{heads}<th>recall</th></tr>']
    for row, name in enumerate(names):
        cells = "".join(_cell(*found) for found in zip(counts[row], shares[row], strict=True))
        recall = f"{shares[row, row]:.0%}" if counts[row].any() else "-"
        lines.append(f'<tr><th scope="row">{name}</th>{cells}<td class="recall">{recall}</td></tr>')
    return '<div class="wide"><table class="confusion">\n' + "\n".join(lines) + "\n</table></div>"


def _cell(count: int, share: float) -> str:
    if not count:
        return "<td></td>"
    ink = "; color: white" if share > 0.55 else ""
    return f'<td style="background: rgba({_COLOR}, {share:.2f}){ink}">{count}</td>'


def _commonest(counts: np.ndarray, classes: Sequence[str]) -> str:
    confused = counts - np.diag(np.diag(counts))
    order = np.argsort(confused, axis=None, kind="stable")[::-1][:_PAIRS]
    told = [
        f"{html.escape(classes[true])} taken for {html.escape(classes[predicted])} "
        f"({confused[true, predicted]})"
        for true, predicted in zip(*np.unravel_index(order, confused.shape), strict=True)
        if confused[true, predicted]
    ]
    return f"<p>Most often: {', '.join(told)}.</p>" if told else "<p>No shape was confused.</p>"
