"""How like a set of reference clouds a set of generated ones is.

The definitions are PointFlow's (Yang et al. 2019, arXiv 1906.12320); MMD and coverage are due to
Achlioptas et al. (2018), the 1-NN test to Lopez-Paz & Oquab (2017). Which distance, how clouds are
normalised, how many points they have and which references they are held against change every
figure, so a figure without them means nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import cache, partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from scipy.spatial import KDTree
from torch import Tensor

from pc_crvae.evaluation.metrics.reconstruction import earth_movers_distance
from pc_crvae.evaluation.reports import Part
from pc_crvae.geometry import chamfer_distance

Distance = Literal["cd", "emd"]
_PAIRS_AT_ONCE = 256
_PLACES_A_SIDE = 28


class Likeness(Part):
    """How like references samples are by one distance: MMD, coverage and 1-NNA, in reports 1nna."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    mmd: float
    cov: float
    one_nna: float = Field(alias="1nna")


class GenerationMetrics(Part):
    """How like references samples are.

    Attributes:
        cd: the figure by the Chamfer distance.
        emd: the figure by the earth mover's distance.
        jsd: the divergence of where their points lie, in bits.
        samples: clouds generated.
        references: clouds that they are held against.
        points: the points of each cloud.
    """

    cd: Likeness
    emd: Likeness
    jsd: float
    samples: int
    references: int
    points: int


def pairwise_distances(
    x: NDArray[np.float32],
    y: NDArray[np.float32] | None,
    distance: Distance,
    *,
    workers: int = 1,
    advance: Callable[[], None] = lambda: None,
) -> NDArray[np.float64]:
    """Return the distance of every cloud of ``x`` to every cloud of ``y``: (n, m).

    Args:
        x: (n, N, 3).
        y: (m, M, 3); M = N for ``emd``. None for ``x`` itself, each pair matched once.
        distance: ``cd``, both mean squared directions summed; ``emd``, the mean distance of
            points matched one to one.
        workers: processes that share the work of ``emd``.
        advance: called after each cloud of ``x`` that ``emd`` is done with.
    """
    if distance == "cd":
        return _chamfer_matrix(torch.from_numpy(x), torch.from_numpy(x if y is None else y))
    if y is not None:
        return np.stack(list(_emd_rows(x, [y] * len(x), workers, advance)))
    matrix = np.zeros((len(x), len(x)))
    later = [x[row + 1 :] for row in range(len(x))]
    for row, distances in enumerate(_emd_rows(x, later, workers, advance)):
        matrix[row, row + 1 :] = matrix[row + 1 :, row] = distances
    return matrix


def minimum_matching_distance(to_references: NDArray[np.floating]) -> float:
    """MMD: the mean over references of the least distance to a sample.

    Args:
        to_references: (samples, references) distances.
    """
    return float(to_references.min(axis=0).mean())


def coverage(to_references: NDArray[np.floating]) -> float:
    """COV: the share of references that are some sample's nearest, in [0, 1].

    Args:
        to_references: (samples, references) distances.
    """
    return float(len(np.unique(to_references.argmin(axis=1))) / to_references.shape[1])


def one_nearest_neighbor_accuracy(
    within_samples: NDArray[np.floating],
    to_references: NDArray[np.floating],
    within_references: NDArray[np.floating],
) -> float:
    """1-NNA: how well a leave-one-out 1-NN classifier tells samples from references, in [0, 1].

    0.5 is ideal; two copies of one set give 0, since each cloud's nearest other one is its twin.

    Args:
        within_samples: (s, s) distances.
        to_references: (s, r) distances.
        within_references: (r, r) distances.
    """
    distances = np.block([[within_samples, to_references], [to_references.T, within_references]])
    np.fill_diagonal(distances, np.inf)
    is_sample = np.arange(len(distances)) < len(within_samples)
    return float((is_sample[distances.argmin(axis=1)] == is_sample).mean())


def jensen_shannon_divergence(
    samples: NDArray[np.floating], references: NDArray[np.floating]
) -> float:
    """JSD of where points lie, in bits: in [0, 1].

    As PointFlow's release counts: of a lattice of 28^3 places over the cube, its outermost on the
    cube's faces, those in the inscribed ball stand, and each point counts at the nearest. The
    cube is [-1, 1]^3 here, as clouds have radius 1, where the release has [-0.5, 0.5]^3.

    Args:
        samples: (s, N, 3), clouds of radius 1.
        references: (r, M, 3).
    """
    first, second = _occupancy(samples), _occupancy(references)
    middle = (first + second) / 2
    return (_relative_entropy(first, middle) + _relative_entropy(second, middle)) / 2


def generation_metrics(
    samples: NDArray[np.float32],
    references: NDArray[np.float32],
    *,
    workers: int = 1,
    advance: Callable[[], None] = lambda: None,
) -> GenerationMetrics:
    """Measure all of the above, with both distances.

    Args:
        samples: (s, N, 3) generated clouds.
        references: (r, N, 3) held-out clouds, normalised as the samples are.
        workers: processes for the exact assignments.
        advance: called 2 s + r times on the way, while clouds are being matched.
    """

    def by(distance: Distance) -> Likeness:
        between = partial(pairwise_distances, distance=distance, workers=workers, advance=advance)
        to_references = between(samples, references)
        return Likeness(
            mmd=minimum_matching_distance(to_references),
            cov=coverage(to_references),
            one_nna=one_nearest_neighbor_accuracy(
                between(samples, None), to_references, between(references, None)
            ),
        )

    return GenerationMetrics(
        cd=by("cd"),
        emd=by("emd"),
        jsd=jensen_shannon_divergence(samples, references),
        samples=len(samples),
        references=len(references),
        points=samples.shape[1],
    )


def _chamfer_matrix(x: Tensor, y: Tensor) -> NDArray[np.float64]:
    pairs = torch.cartesian_prod(torch.arange(len(x)), torch.arange(len(y)))
    distances = [
        chamfer_distance(x[part[:, 0]], y[part[:, 1]])
        for part in torch.split(pairs, _PAIRS_AT_ONCE)
    ]
    return torch.cat(distances).reshape(len(x), len(y)).double().numpy()


def _emd_rows(
    x: NDArray[np.float32],
    others: Sequence[NDArray[np.float32]],
    workers: int,
    advance: Callable[[], None],
) -> Iterator[NDArray[np.float64]]:
    """Match each cloud of ``x`` with the others of its own, in order."""
    with ProcessPoolExecutor(workers) if workers != 1 else nullcontext() as pool:
        rows = pool.map(_emd_row, x, others, chunksize=4) if pool else map(_emd_row, x, others)
        for row in rows:
            yield row
            advance()


def _emd_row(cloud: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.array([earth_movers_distance(cloud, other) for other in others])


def _occupancy(clouds: NDArray[np.floating]) -> NDArray[np.float64]:
    places = _lattice()
    _, nearest = places.query(clouds.reshape(-1, 3).astype(np.float64))
    return np.bincount(nearest, minlength=places.n) / len(nearest)


@cache
def _lattice() -> KDTree:
    """The places of `jensen_shannon_divergence`, 10,144 of them."""
    steps = np.linspace(-1, 1, _PLACES_A_SIDE)
    places = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    return KDTree(places[np.square(places).sum(axis=1) <= 1])


def _relative_entropy(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    held = first > 0
    return float((first[held] * np.log2(first[held] / second[held])).sum())
