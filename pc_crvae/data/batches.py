"""From items of a set to the array that a model is given."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.clouds import CloudSet
from pc_crvae.data.images import ImageSet
from pc_crvae.data.items import ItemSet


def batch_of(
    items: ItemSet, indices: Sequence[int] | NDArray[np.int64], points: int, *key: int | str
) -> NDArray[np.float32]:
    """Return the items at ``indices`` as float32, items first.

    Args:
        items: clouds or images.
        indices: (b,) items of the set.
        points: of each cloud, chosen anew for each ``key``; images are taken as they are.
        key: what fixes the choice, for example ``("points", seed, epoch)``.

    Returns:
        (b, points, 3) clouds or (b, C, H, W) images in [0, 1].

    Raises:
        UserError: the clouds have fewer than ``points`` points.
    """
    if isinstance(items, CloudSet):
        return items.batch(indices, points, *key)
    if isinstance(items, ImageSet):
        return items.batch(indices)
    raise TypeError(f"{type(items).__name__} is neither clouds nor images")
