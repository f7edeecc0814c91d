"""Random semantics-preserving maps of batches, drawn from an explicit generator."""

from pc_crvae.transforms.points import (
    Compose,
    DropLocalRegion,
    Jitter,
    RotateAboutRandomAxis,
    RotateSO3,
    RotateZ,
    ScaleAnisotropic,
    Subsample,
    Transform,
    Translate,
)

__all__ = [
    "Compose",
    "DropLocalRegion",
    "Jitter",
    "RotateAboutRandomAxis",
    "RotateSO3",
    "RotateZ",
    "ScaleAnisotropic",
    "Subsample",
    "Transform",
    "Translate",
]
