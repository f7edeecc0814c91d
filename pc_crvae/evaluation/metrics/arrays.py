"""Features and labels as arrays, and which features are refused."""

import numpy as np
from numpy.typing import NDArray

from pc_crvae.errors import UserError

Labels = NDArray[np.int64]


def check_features(features: NDArray[np.floating], what: str) -> None:
    """Refuse features that are not (n, d), by a `ValueError`, or not finite, by a `UserError`."""
    if features.ndim != 2:
        raise ValueError(f"{what} must be (n, d), got shape {features.shape}")
    bad = np.count_nonzero(~np.isfinite(features).all(axis=1))
    if bad:
        raise UserError(
            f"{bad} of {len(features)} rows of the {what} are NaN or infinite: check the encoder"
            " that made them, for example for diverged weights."
        )


def check_one_label_each(samples: NDArray[np.generic], labels: NDArray[np.generic]) -> None:
    """Refuse labels (n,) that are not one per sample, by a `UserError`."""
    if len(samples) != len(labels) or len(labels) == 0:
        raise UserError(
            f"{len(samples)} samples came with {len(labels)} labels: the probe needs one label a"
            " sample and at least one sample."
        )
