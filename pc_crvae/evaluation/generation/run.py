"""What a model of points decodes, and how it uses its latents, on the test split.

Reconstructions are held against the clouds that were encoded, draws of the prior against test
shapes, and the posteriors against the prior. Nothing is fitted or chosen here.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pc_crvae.data.clouds import CloudSet
from pc_crvae.errors import UserError
from pc_crvae.evaluation.metrics.generation import generation_metrics
from pc_crvae.evaluation.metrics.reconstruction import reconstruction_metrics
from pc_crvae.evaluation.reports import DataCut, library_versions
from pc_crvae.evaluation.robustness.run import Encoded, posterior_encoder
from pc_crvae.latents.posteriors import DiagonalGaussian
from pc_crvae.latents.statistics import ACTIVE_VARIANCE, active_units, mutual_information
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.randomness.keys import keyed_numpy_generator

_PICTURED = 5

NO_PRIOR = "a plain auto-encoder has no prior to draw from, and its codes no density"


@dataclass(frozen=True)
class QualityProtocol:
    """What decides the numbers, apart from the model and the data.

    Attributes:
        count: draws of the prior, and test shapes that they are held against.
        points: of each cloud in that comparison; fewer where decoded or test clouds have fewer.
        encoded_points: drawn of each test shape to be encoded and reconstructed.
        threshold: of the F-score, in radii of the shape.
        emd_pairs: reconstructions that are also compared by exact assignment.
        baseline: also hold training shapes against the same test shapes.
        seed: fixes which shapes and points, and the draws of the prior.

    Raises:
        UserError: a value out of its range.
    """

    count: int = 100
    points: int = 512
    encoded_points: int = 1024
    threshold: float = 0.05
    emd_pairs: int = 100
    baseline: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 2:
            raise UserError(
                f"--count must be at least 2, for a nearest neighbour, not {self.count}"
            )
        if self.points < 1 or self.encoded_points < 1:
            raise UserError("clouds of fewer than 1 point cannot be compared: ask for more points")

    @property
    def steps(self) -> int:
        """Times that progress is told."""
        return 3 * self.count * (2 if self.baseline else 1)


@dataclass(frozen=True)
class Pictured:
    """Some of what was compared, to look at.

    Attributes:
        shapes: (k, N, 3) test shapes, k at most 5.
        reconstructions: (k, M, 3) of them.
        samples: (k, M, 3) draws of the prior; None for a plain auto-encoder.
    """

    shapes: NDArray[np.float32]
    reconstructions: NDArray[np.float32]
    samples: NDArray[np.float32] | None


def evaluate_quality(
    model: PointVAE,
    train: CloudSet,
    test: CloudSet,
    protocol: QualityProtocol,
    *,
    workers: int = 1,
    advance: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Any], Pictured]:
    """Measure reconstruction, generation and the use of latents.

    Args:
        model: in evaluation mode.
        train: what the baseline is taken from.
        test: held-out shapes; labels are not used.
        protocol: the rest.
        workers: processes for the exact assignments.
        advance: called ``protocol.steps`` times for a model with a prior.

    Returns:
        A report of plain numbers, strings and lists, ready for JSON: ``reconstruction``,
        ``latents``, ``generation``, ``protocol``, ``data`` and ``versions``; and some shapes.

    Raises:
        UserError: fewer shapes or points than asked for, or a model that decodes no numbers.
    """
    for items in (train, test) if protocol.baseline else (test,):
        if len(items) < protocol.count:
            raise UserError(
                f"the {items.split} split of {items.name} has {len(items)} shapes, fewer than the "
                f"{protocol.count} of --count"
            )
    # In an order of its own, because splits often come class by class.
    order = keyed_numpy_generator("quality", protocol.seed).permutation(len(test))
    clouds = test.batch(order, protocol.encoded_points, "quality encoded", protocol.seed)
    encoded = posterior_encoder(model)(clouds)
    decoded = _finite(model.decode(torch.from_numpy(encoded.mean)).numpy(), "reconstructions")
    reconstruction = reconstruction_metrics(
        torch.from_numpy(decoded),
        torch.from_numpy(clouds),
        threshold=protocol.threshold,
        emd_pairs=protocol.emd_pairs,
    )
    generation: dict[str, Any] = {"note": NO_PRIOR}
    samples = None
    if model.has_prior:
        samples = _finite(model.sample(protocol.count, protocol.seed).numpy(), "samples")
        generation = _generation(samples, order, train, test, protocol, workers, advance)
    report = {
        "reconstruction": reconstruction,
        "latents": latent_statistics(encoded, protocol.seed),
        "generation": generation,
        "protocol": _describe(protocol, decoded.shape[1]),
        "data": {"train": DataCut.of(train).plain(), "test": DataCut.of(test).plain()},
        "versions": library_versions(),
    }
    shown = None if samples is None else samples[:_PICTURED]
    return report, Pictured(clouds[:_PICTURED], decoded[:_PICTURED], shown)


def latent_statistics(encoded: Encoded, seed: int) -> dict[str, Any]:
    """Say how much of z a split's posteriors use, and of the split z tells.

    Args:
        encoded: the posteriors of n items.
        seed: of the latents that the mutual information is estimated from.

    Returns:
        ``dimensions``, ``active_units``; and, for posteriors with a density, ``kl``, its mean over
        items by dimension ``kl_per_dimension``, and ``mutual_information`` with ``log_n``.
    """
    found: dict[str, Any] = {
        "items": len(encoded.mean),
        "dimensions": encoded.mean.shape[1],
        "active_units": active_units(encoded.mean),
        "active_above_variance": ACTIVE_VARIANCE,
    }
    if encoded.log_variance is None:
        return found | {"note": NO_PRIOR}
    means = torch.from_numpy(encoded.mean).double()
    posteriors = DiagonalGaussian(means, torch.from_numpy(encoded.log_variance).double())
    prior = DiagonalGaussian.standard(means.shape[1], like=means)
    by_dimension = posteriors.kl(prior, ()).mean(dim=0)
    return found | {
        "kl": float(by_dimension.sum()),
        "kl_per_dimension": by_dimension.tolist(),
        "mutual_information": asdict(mutual_information(posteriors, prior, seed=seed)),
    }


def format_quality(report: dict[str, Any]) -> str:
    """Lay a report out as plain text."""
    reconstruction, latents = report["reconstruction"], report["latents"]
    generation = report["generation"]
    lines = [f"reconstruction of {latents['items']:,} test shapes"]
    lines += [f"  {name:22}{value:.5f}" for name, value in reconstruction.items()]
    lines.append("latents")
    lines.append(f"  active units          {latents['active_units']} of {latents['dimensions']}")
    if "kl" in latents:
        information = latents["mutual_information"]
        lines.append(f"  KL to the prior       {latents['kl']:.1f} nats")
        lines.append(
            f"  mutual information    {information['estimate']:.3f} ± {information['stderr']:.3f} "
            f"nats, log N = {information['log_n']:.3f}"
            + (" (saturated: do not rank by it)" if information["saturated"] else "")
        )
    if "note" in generation:
        return "\n".join([*lines, f"generation: {generation['note']}"])
    compared = generation["samples"]
    lines.append(
        f"generation: {compared['samples']} draws against {compared['references']} test shapes, "
        f"{compared['points']} points"
    )
    for name, metrics in generation.items():
        for distance in ("cd", "emd"):
            scores = metrics[distance]
            lines.append(
                f"  {name.replace('_', ' '):18}{distance.upper():4}"
                f"MMD {scores['mmd']:.5f}  COV {scores['cov']:.1%}  1-NNA {scores['1nna']:.1%}"
            )
        lines.append(f"  {name.replace('_', ' '):18}JSD {metrics['jsd']:.4f}")
    return "\n".join(lines)


def _generation(
    samples: NDArray[np.float32],
    order: NDArray[np.int64],
    train: CloudSet,
    test: CloudSet,
    protocol: QualityProtocol,
    workers: int,
    advance: Callable[[], None],
) -> dict[str, Any]:
    points = min(protocol.points, samples.shape[1], test.points.shape[1])
    count, seed = protocol.count, protocol.seed
    references = test.batch(order[:count], points, "quality references", seed)
    rng = keyed_numpy_generator("quality points of samples", seed)
    thinned = np.stack([sample[rng.permutation(len(sample))[:points]] for sample in samples])
    found = {"samples": generation_metrics(thinned, references, workers=workers, advance=advance)}
    if protocol.baseline:
        rows = keyed_numpy_generator("quality baseline", seed).permutation(len(train))[:count]
        shapes = train.batch(rows, points, "quality baseline", seed)
        found["training_shapes"] = generation_metrics(
            shapes, references, workers=workers, advance=advance
        )
    return found


def _finite(decoded: NDArray[np.float32], what: str) -> NDArray[np.float32]:
    if not np.isfinite(decoded).all():
        raise UserError(
            f"the model's {what} hold NaN or infinite coordinates: check its weights, for example "
            "for a training that diverged"
        )
    return decoded


def _describe(protocol: QualityProtocol, decoded_points: int) -> dict[str, Any]:
    return asdict(protocol) | {
        "decoded_points": decoded_points,
        "reconstruction": "of posterior means, against the very points that were encoded; the EMD "
        "of the first emd_pairs shapes in an order drawn by the seed",
        "normalization": "test shapes each with mean 0 and largest radius 1; samples and "
        "reconstructions as decoded, in that frame, not normalised again",
        "distances": "cd: sum of both mean squared directions; emd: mean distance under the best "
        "one-to-one matching, exact",
        "latents": "of all test shapes",
    }
