"""What a model of points decodes, and how it uses its latents, on the test split.

Reconstructions are held against the clouds that were encoded, draws of the prior against test
shapes, and the posteriors against the prior. Nothing is fitted or chosen here.
"""

from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray

from pc_crvae.data.clouds import CloudSet
from pc_crvae.embedding.names import Representations
from pc_crvae.errors import UserError
from pc_crvae.evaluation.finite import finite
from pc_crvae.evaluation.generation.protocol import QualityProtocol
from pc_crvae.evaluation.generation.report import (
    DescribedProtocol,
    Generated,
    GenerationReport,
    LatentStatistics,
)
from pc_crvae.evaluation.metrics.generation import generation_metrics
from pc_crvae.evaluation.metrics.reconstruction import reconstruction_metrics
from pc_crvae.evaluation.reports import TrainAndTest, in_words, library_versions
from pc_crvae.evaluation.robustness.encoding import posterior_encoder
from pc_crvae.latents.posteriors import DiagonalGaussian
from pc_crvae.latents.statistics import ACTIVE_VARIANCE, active_units, mutual_information
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.randomness.keys import keyed_numpy_generator

_PICTURED = 5

NO_PRIOR = "a plain auto-encoder has no prior to draw from, and its codes no density"


Pictured = dict[str, NDArray[np.float32]]
"""By what they are, at most 5 clouds (k, N, 3): test shapes, reconstructions, samples if any."""


def evaluate_quality(
    model: PointVAE,
    train: CloudSet,
    test: CloudSet,
    protocol: QualityProtocol,
    *,
    workers: int = 1,
    advance: Callable[[], None] = lambda: None,
) -> tuple[GenerationReport, Pictured]:
    """Measure reconstruction, generation and the use of latents.

    Args:
        model: the model, in evaluation mode.
        train: the shapes that the baseline is taken from.
        test: held-out shapes; labels are not used.
        protocol: the rest.
        workers: processes for the exact assignments.
        advance: called ``protocol.steps`` times for a model with a prior.

    Returns:
        The report, and some of what was compared, to look at.

    Raises:
        UserError: fewer shapes or points than asked for, or a model that decodes no numbers.
    """
    for items in (train, test) if protocol.baseline else (test,):
        if len(items) < protocol.count:
            raise UserError(
                f"the {items.split} split of {items.name} has {len(items)} shapes, fewer than the "
                f"{protocol.count} that samples are held against"
            )
    # In an order of its own, because splits often come class by class.
    order = keyed_numpy_generator("quality", protocol.seed).permutation(len(test))
    clouds = test.batch(order, protocol.encoded_points, "quality encoded", protocol.seed)
    encoded = posterior_encoder(model)(clouds)
    decoded = finite(model.decode(torch.from_numpy(encoded["mean"])), "reconstructions")
    reconstruction = reconstruction_metrics(
        decoded,
        torch.from_numpy(clouds),
        threshold=protocol.threshold,
        emd_pairs=protocol.emd_pairs,
    )
    pictured = {"test shapes": clouds, "reconstructions": decoded.numpy()}
    generation = Generated(note=NO_PRIOR)
    if model.has_prior:
        samples = finite(model.sample(protocol.count, protocol.seed), "samples").numpy()
        pictured["samples"] = samples
        generation = _generation(samples, order, train, test, protocol, workers, advance)
    report = GenerationReport(
        reconstruction=reconstruction,
        latents=latent_statistics(encoded, protocol.seed),
        generation=generation,
        protocol=DescribedProtocol(
            **asdict(protocol), decoded_points=decoded.shape[1], **in_words("generation")
        ),
        data=TrainAndTest.of(train, test),
        versions=library_versions(),
    )
    return report, {name: rows[:_PICTURED] for name, rows in pictured.items()}


def latent_statistics(encoded: Representations, seed: int) -> LatentStatistics:
    """Say how much of z a split's posteriors use, and of the split z tells.

    Args:
        encoded: the posteriors of n items, as an `Encode` of clouds gives them.
        seed: the seed of the latents that the mutual information is estimated from.
    """
    means = torch.from_numpy(encoded["mean"]).double()
    found = {
        "items": len(means),
        "dimensions": means.shape[1],
        "active_units": active_units(encoded["mean"]),
        "active_above_variance": ACTIVE_VARIANCE,
    }
    if "log_variance" not in encoded:
        return LatentStatistics(**found, note=NO_PRIOR)
    posteriors = DiagonalGaussian(means, torch.from_numpy(encoded["log_variance"]).double())
    prior = DiagonalGaussian.standard(means.shape[1], like=means)
    by_dimension = posteriors.kl(prior, ()).mean(dim=0)
    return LatentStatistics(
        **found,
        kl=float(by_dimension.sum()),
        kl_per_dimension=tuple(by_dimension.tolist()),
        mutual_information=mutual_information(posteriors, prior, seed=seed),
    )


def _generation(
    samples: NDArray[np.float32],
    order: NDArray[np.int64],
    train: CloudSet,
    test: CloudSet,
    protocol: QualityProtocol,
    workers: int,
    advance: Callable[[], None],
) -> Generated:
    points = min(protocol.points, samples.shape[1], test.points.shape[1])
    count, seed = protocol.count, protocol.seed
    references = test.batch(order[:count], points, "quality references", seed)
    rng = keyed_numpy_generator("quality points of samples", seed)
    thinned = np.stack([sample[rng.permutation(len(sample))[:points]] for sample in samples])
    of_samples = generation_metrics(thinned, references, workers=workers, advance=advance)
    if not protocol.baseline:
        return Generated(samples=of_samples)
    rows = keyed_numpy_generator("quality baseline", seed).permutation(len(train))[:count]
    shapes = train.batch(rows, points, "quality baseline", seed)
    of_training = generation_metrics(shapes, references, workers=workers, advance=advance)
    return Generated(samples=of_samples, training_shapes=of_training)
