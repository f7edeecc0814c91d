"""A confusion matrix as an element of a page, whose names and numbers are text."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike

from pc_crvae.report.page import paragraph
from pc_crvae.visualization.pictures import mean_count
from pc_crvae.visualization.web_page import element

MOST_CLASSES = 60
"""A table of more would be too large to be read, or sent."""

_PAIRS = 10


def confusion_table(matrix: ArrayLike, classes: Sequence[str], *, draws: int = 1) -> Markup:
    """Return a table of counts, coloured by their share of the true class.

    Args:
        matrix: counts (C, C), row the true class, column the predicted one.
        classes: C names.
        draws: how often each item was counted, once a probe seed; the table shows the mean.

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
    table = _table(counts, classes, draws) if len(classes) <= MOST_CLASSES else Markup()
    return table + _commonest(counts, classes, draws)


def _table(counts: np.ndarray, classes: Sequence[str], draws: int) -> Markup:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = [
        (
            name,
            [
                (mean_count(count, draws) if count else "", share)
                for count, share in zip(counts[row].tolist(), shares[row].tolist(), strict=True)
            ],
            f"{shares[row, row]:.0%}" if counts[row].any() else "-",
        )
        for row, name in enumerate(classes)
    ]
    return element(__file__, "confusion_table.html", classes=classes, rows=rows)


def _commonest(counts: np.ndarray, classes: Sequence[str], draws: int) -> Markup:
    confused = counts - np.diag(np.diag(counts))
    order = np.argsort(confused, axis=None, kind="stable")[::-1][:_PAIRS]
    told = [
        f"{classes[true]} taken for {classes[predicted]} "
        f"({mean_count(confused[true, predicted], draws)})"
        for true, predicted in zip(*np.unravel_index(order, confused.shape), strict=True)
        if confused[true, predicted]
    ]
    return paragraph(f"Most often: {', '.join(told)}." if told else "No shape was confused.")
