"""A confusion matrix as an element of a page, whose names and numbers are text."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike

from pc_crvae.report.page import paragraph
from pc_crvae.visualization.web_page import element

MOST_CLASSES = 60
"""A table of more would be too large to be read, or sent."""

_PAIRS = 10


def confusion_table(matrix: ArrayLike, classes: Sequence[str]) -> Markup:
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
    table = _table(counts, classes) if len(classes) <= MOST_CLASSES else Markup()
    return table + _commonest(counts, classes)


def _table(counts: np.ndarray, classes: Sequence[str]) -> Markup:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = [
        (
            name,
            list(zip(counts[row].tolist(), shares[row].tolist(), strict=True)),
            f"{shares[row, row]:.0%}" if counts[row].any() else "-",
        )
        for row, name in enumerate(classes)
    ]
    return element(__file__, "confusion_table.html", classes=classes, rows=rows)


def _commonest(counts: np.ndarray, classes: Sequence[str]) -> Markup:
    confused = counts - np.diag(np.diag(counts))
    order = np.argsort(confused, axis=None, kind="stable")[::-1][:_PAIRS]
    told = [
        f"{classes[true]} taken for {classes[predicted]} ({confused[true, predicted]})"
        for true, predicted in zip(*np.unravel_index(order, confused.shape), strict=True)
        if confused[true, predicted]
    ]
    return paragraph(f"Most often: {', '.join(told)}." if told else "No shape was confused.")
