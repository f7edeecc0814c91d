"""Images: one split of a data set, as its files hold them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.items import ItemSet, PickedRows


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class ImageSet(ItemSet):
    """One split of images.

    Attributes:
        images: (n, C, H, W) uint8, 1 or 3 channels; those of a :meth:`subset` are rows picked
            from the whole.

    Raises:
        ValueError: an array has the wrong shape or type, or two ids are equal.
    """

    holds = "images"
    images: NDArray[np.uint8] | PickedRows[np.uint8]

    def __post_init__(self) -> None:
        shape = self.images.shape
        if len(shape) != 4 or shape[1] not in (1, 3) or 0 in shape[2:]:
            raise ValueError(f"images should be (n, 1 or 3, H, W), not {shape}")
        if self.images.dtype != np.uint8:
            raise ValueError(f"images should be uint8, not {self.images.dtype}")
        super().__post_init__()

    def item(self, row: int) -> dict[str, Any]:
        """Return one ``image``, (C, H, W) float32 in [0, 1], its ``id`` and any ``label``."""
        return {"image": self.batch([row])[0]} | super().item(row)

    def batch(
        self, indices: Sequence[int] | NDArray[np.int64], count: int = 0, *key: int | str
    ) -> NDArray[np.float32]:
        """Return the images at ``indices``, whole: (b, C, H, W) float32 in [0, 1]."""
        picked = self.images[np.asarray(indices, dtype=np.int64)]
        return np.divide(picked, np.float32(255), dtype=np.float32)
