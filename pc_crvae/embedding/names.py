"""The names that settings, features and representations go by in protocols and reports."""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

Setting = Literal["aligned", "z", "so3"]
"""How test shapes are rotated: not at all, about the vertical, or by any rotation."""
SETTINGS: tuple[Setting, ...] = get_args(Setting)
SETTING_TITLES: Mapping[str, str] = {"aligned": "aligned", "z": "z", "so3": "SO(3)"}

Features = Literal["trained", "untrained"]
"""Whose features they are: the model's, or those of one like it that was never trained."""
FEATURES: tuple[Features, ...] = get_args(Features)
Untrained = Literal["calibrated", "initial"]
"""What batch-norm knows in one that was never trained: the statistics of the training split, or
nothing, as it was initialised."""
UNTRAINED_TITLES: Mapping[Untrained, str] = {
    "calibrated": "batch-norm calibrated by a pass over the training items, without labels",
    "initial": "batch-norm as initialised, which has seen no data",
}
Encoded = Literal["mean", "pooled"]
"""What is taken of an encoder: the posterior's mean, or the pooled features before its head."""
Representation = Literal["posterior_mean", "pooled"]
"""The same as reports name it."""
POSTERIOR_MEAN: Representation = "posterior_mean"
POOLED: Representation = "pooled"
REPRESENTATIONS: Mapping[Encoded, Representation] = {"mean": POSTERIOR_MEAN, "pooled": POOLED}
GIVEN: tuple[str, str] = ("given", "features")
"""Whose features, and which, where they come without a model, or of one that is not trained."""
TRAINING_FREE = "training_free"
"""Whose features they are beside those of a model: a descriptor's, named by its kind."""


def title_of(features: str, representation: str) -> str:
    """Return how tables call a row: whose features it is of, and which."""
    return f"{features.replace('training_free', 'training-free')} {representation}".replace(
        "_", " "
    )


Representations: TypeAlias = dict[str, NDArray[np.floating]]
"""Arrays (n, d) by the name of the representation."""

Encode = Callable[[NDArray[np.float32]], Representations]
"""What encodes items (n, ...), prepared as in training."""
