"""Near-copies: shapes that are all but the same, by their distances from basis points.

Where a test shape has a near-copy in training, its accuracy is the retrieval of copies. What is
found is the least there is: of two draws of 1,024 points from one of 51 meshes, 29 % lie below the
threshold and half below 0.015, and the fewer the points, the farther apart they lie.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.clouds import CloudSet

THRESHOLD = 0.012
"""Root mean square difference below which two shapes are near-copies, their radius being 1."""

BASIS = 1024
POINTS = 1024

Descriptions = NDArray[np.float32]
"""(n, BASIS) distances from the basis points to each cloud."""

_DESCRIBED_AT_ONCE = 64
_TEST_AT_ONCE, _TRAIN_AT_ONCE = 512, 2048  # a block of 8 MB
_SEED = 0
"""Of the basis, and of the points where clouds have more."""

_SLACK = 1e-6  # relative: far above the rounding of products in double precision


@dataclass(frozen=True)
class NearCopies:
    """The near-copies that test shapes have in training; made without any label.

    Attributes:
        first: (p,) the test shapes of all pairs, by their rows, in rising order.
        second: (p,) the training shape of each pair, by its row.
        compared: (c,) the test shapes that were compared, by their rows, in rising order.
        points: the points of each cloud that were described.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    compared: NDArray[np.int64]
    points: int

    @property
    def test_rows(self) -> NDArray[np.int64]:
        """The test shapes that have one, in rising order."""
        return np.unique(self.first)

    @property
    def measure(self) -> str:
        """What is compared, in words."""
        return (
            f"root mean square difference of the distances from {BASIS:,} basis points to the "
            f"nearest of {self.points:,} points, as the shapes are"
        )


def find_near_copies(
    train: CloudSet, test: CloudSet, *, most_compared: int | None = None
) -> NearCopies:
    """Find the test shapes of which training has a near-copy.

    Every pair is compared, a block at a time. Of ModelNet40, 12,308 shapes and 24 million pairs, it
    takes one core of a shared x86 server 9 s.

    Args:
        train: no label of it is read.
        test: nor of this.
        most_compared: pairs that may be compared; beyond them, test shapes are left out, evenly
            spread. None for all.
    """
    points = min(POINTS, train.points.shape[1], test.points.shape[1])
    compared = np.arange(len(test))
    if most_compared is not None and len(test) * len(train) > most_compared:
        count = max(1, most_compared // len(train))
        compared = np.unique(np.linspace(0, len(test) - 1, count).astype(np.int64))
    of_test = describe_clouds(test, compared, points)
    found = []
    for start in range(0, len(train), _TRAIN_AT_ONCE):
        rows = np.arange(start, min(start + _TRAIN_AT_ONCE, len(train)))
        of_train = describe_clouds(train, rows, points)
        for ours, theirs in pairs_below(of_test, of_train, THRESHOLD):
            found.append((compared[ours], rows[theirs]))
    first, second = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((second, first))
    return NearCopies(first[order], second[order], compared, points)


def describe_clouds(items: CloudSet, rows: NDArray[np.int64], points: int) -> Descriptions:
    """Describe some clouds of a set; NaN where one is not finite.

    Args:
        items: prepared clouds, upright.
        rows: (n,) which of them.
        points: the points to draw from each cloud.
    """
    # Imported here because it brings torch, which reading a report must not take seconds for.
    import torch

    from pc_crvae.geometry import basis_points, distances_to_clouds

    basis = basis_points(BASIS, _SEED)
    described = np.empty((len(rows), BASIS), dtype=np.float32)
    for start in range(0, len(rows), _DESCRIBED_AT_ONCE):
        part = slice(start, start + _DESCRIBED_AT_ONCE)
        clouds = items.batch(rows[part], points, "near copies", _SEED)
        finite = np.isfinite(clouds).all(axis=(1, 2))
        clouds[~finite] = 0
        described[part] = distances_to_clouds(basis, torch.from_numpy(clouds)).numpy()
        described[part][~finite] = np.nan
    return described


def pairs_below(
    first: Descriptions, second: Descriptions, threshold: float
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the pairs whose root mean square difference is below a threshold, block by block.

    Which pairs may be is found by matrix products in double precision, and their differences are
    then taken number by number, so that the result is that of the definition.

    Args:
        first: (n, d), gone through in blocks.
        second: (m, d), held in double precision.
        threshold: the root mean square difference that they lie below.

    Yields:
        (p,) rows of the one, and (p,) rows of the other.
    """
    limit = first.shape[1] * threshold**2
    theirs = second.astype(np.float64)
    other = np.square(theirs).sum(axis=1)
    for start in range(0, len(first), _TEST_AT_ONCE):
        ours = first[start : start + _TEST_AT_ONCE].astype(np.float64)
        own = np.square(ours).sum(axis=1)[:, None]
        near = own + other - 2 * (ours @ theirs.T) < limit + _SLACK * (own + other)
        for row in np.flatnonzero(near.any(axis=1)):
            differences = theirs[near[row]] - ours[row]
            near[row, near[row]] = np.sqrt(np.square(differences).mean(axis=1)) < threshold
        rows, columns = np.nonzero(near)
        yield start + rows, columns
