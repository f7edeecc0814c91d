"""The handwritten digits that come with scikit-learn: 1,797 images of 8x8, no files.

They are the test part of E. Alpaydin and C. Kaynak's Optical Recognition of Handwritten Digits
(UCI Machine Learning Repository, 1998).
"""

from pathlib import Path

import numpy as np

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.items import RawItems
from pc_crvae.data.splits import held_out_rows
from pc_crvae.errors import UserError

VERSION = 1

_TEST_SHARE = 0.2
_BRIGHTEST = 16
_CLASSES = 10


def read_split(root: Path | None, split: Split, card: Card) -> RawItems:
    """Make one split: images (n, 1, 8, 8) uint8, ink light, ids such as ``digits/17``.

    The values 0 to 16 become 0 to 255. A fifth of each class is the test split, chosen by a hash
    of the ids as :func:`held_out_rows` chooses: 1,438 images train, 359 test.

    Raises:
        UserError: the card has another number of classes.
    """
    if len(card.classes) != _CLASSES:
        raise UserError(f"{card.name} has {len(card.classes)} classes where there are ten digits")
    # Imported here because it takes a second, which the other layouts can do without.
    from sklearn.datasets import load_digits

    digits = load_digits()
    ids = [f"digits/{row}" for row in range(len(digits.images))]
    tested = held_out_rows(ids, digits.target.tolist(), _TEST_SHARE)
    rows = [row for row in range(len(ids)) if (row in tested) == (split == "test")]
    images = np.rint(digits.images[rows] * 255 / _BRIGHTEST).astype(np.uint8)[:, None]
    labels = digits.target[rows].astype(np.int64)
    return RawItems(images, labels, card.classes, tuple(ids[row] for row in rows))
