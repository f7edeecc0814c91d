"""Labels and class names as files give them, held against the classes there are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.cards import Card
from pc_crvae.errors import UserError


def check_labels(path: Path | str, labels: NDArray[Any], classes: int, named_by: str) -> None:
    """Refuse labels (n,) that are no indices into the classes.

    Args:
        path: the file or data set that holds them.
        labels: whole numbers.
        classes: the number of classes.
        named_by: what names the classes, for the sentence of the error.

    Raises:
        UserError: a label is out of range.
    """
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        row = int(np.argmax(outside))
        raise UserError(
            f"{path}: the label {labels[row]} in row {row} is out of range, as {named_by} names "
            f"{classes} classes"
        )


def labels_of(names: Sequence[str], card: Card, source: Path | str) -> list[int]:
    """Return the index of each name among the classes of a card.

    Raises:
        UserError: a name is no class; the sentence says where it stands, which is ``source``.
    """
    label_of = {name: label for label, name in enumerate(card.classes)}
    unknown = [name for name in names if name not in label_of]
    if unknown:
        raise UserError(
            f"{source} names {unknown[0][:80]}, which is no class of {card.name}: is it the folder "
            "of another data set?"
        )
    return [label_of[name] for name in names]
