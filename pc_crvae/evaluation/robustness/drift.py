"""How far the posteriors of shapes move when the shapes are rotated, corrupted or seen in part."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pc_crvae.embedding.cosine import unit_rows
from pc_crvae.embedding.names import Features, Representations
from pc_crvae.evaluation.robustness.conditions import Condition
from pc_crvae.evaluation.robustness.report import DriftRow
from pc_crvae.latents.posteriors import DiagonalGaussian, gaussian_kl


@dataclass(frozen=True)
class Drift:
    """How far posteriors have moved under one draw of a condition: q(z|t(x)) from q(z|x).

    Attributes:
        cosine: the cosine of the means, a mean over the shapes.
        centered_cosine: the same after the mean of all unmoved means is taken off, since what all
            shapes share does not tell them apart.
        kl: KL(q(z|t(x)) || q(z|x)) in nats, a mean over the shapes; None where posteriors have no
            density.
        dimensions: the dimensions of z.
    """

    cosine: float
    centered_cosine: float
    kl: float | None
    dimensions: int


def drift_between(moved: Representations, unmoved: Representations) -> Drift:
    """Measure how far the posteriors of n shapes moved, each as an `Encode` gives them."""
    mean, from_mean = moved["mean"], unmoved["mean"]
    cosine = _cosine(mean, from_mean)
    center = from_mean.mean(axis=0, dtype=np.float64)
    centered = _cosine(mean - center, from_mean - center)
    dimensions = mean.shape[1]
    if "log_variance" not in moved:
        return Drift(cosine, centered, None, dimensions)
    first, second = (
        DiagonalGaussian(
            torch.from_numpy(encoded["mean"]).double(),
            torch.from_numpy(encoded["log_variance"]).double(),
        )
        for encoded in (moved, unmoved)
    )
    kl = float(gaussian_kl(first, second).sum(dim=1).numpy().mean())
    return Drift(cosine, centered, kl, dimensions)


def drift_row(features: Features, condition: Condition, of_seeds: Sequence[Drift]) -> DriftRow:
    """Make the row of an encoder and a condition: means over all seeds, and those of each."""
    kls = [drift.kl for drift in of_seeds if drift.kl is not None]
    kl = float(np.mean(kls)) if kls else None
    return DriftRow(
        features=features,
        part=condition.part,
        condition=condition.name,
        level=condition.level,
        cosine=float(np.mean([drift.cosine for drift in of_seeds])),
        cosine_of_seeds=tuple(drift.cosine for drift in of_seeds),
        centered_cosine=float(np.mean([drift.centered_cosine for drift in of_seeds])),
        kl=kl,
        kl_per_dimension=None if kl is None else kl / of_seeds[0].dimensions,
        kl_of_seeds=tuple(kls),
    )


def _cosine(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    return float((unit_rows(first) * unit_rows(second)).sum(axis=1).mean())
