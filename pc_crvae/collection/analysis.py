"""All that is found out of a collection: neighbours, map, groups, outliers and duplicates."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pc_crvae.collection.duplicates import Finding, find_duplicates
from pc_crvae.collection.groups import Group, find_groups, find_outliers, reduced
from pc_crvae.collection.layout import lay_out
from pc_crvae.collection.neighbors import nearest_others
from pc_crvae.collection.reading import Collection
from pc_crvae.embedding.cosine import unit_rows

NEIGHBORS = 12
"""Nearest shapes that are told of each."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """What was found out of a collection of n shapes.

    Attributes:
        neighbors: (n, k) rows of the nearest others of each, the nearest first.
        distances: (n, k) cosine distances, 1 - cosine.
        places: (n, 2) on the map, in [-1, 1].
        groups: the groups of like shapes, the largest first; a shape is in one at most.
        outliers: rows of shapes unlike any other, the most unlike first.
        findings: duplicates, near-duplicates and mirror images.
    """

    neighbors: NDArray[np.int64]
    distances: NDArray[np.float64]
    places: NDArray[np.float64]
    groups: tuple[Group, ...]
    outliers: tuple[int, ...]
    findings: tuple[Finding, ...]

    @property
    def on_their_sides(self) -> int:
        """Pairs of the same shape of which one stands where the other lies."""
        return sum(found.kind == "turned" and found.comparison.on_side for found in self.findings)

    def count(self) -> Counter[str]:
        """How many findings there are, by kind."""
        return Counter(found.kind for found in self.findings)


def analyse(collection: Collection, advance: Callable[[], None] = lambda: None) -> Analysis:
    """Find out all that there is to tell of a collection.

    Args:
        collection: the collection that was read.
        advance: a function to call after each shape that was compared.
    """
    vectors = collection.embeddings.vectors
    units = np.empty(vectors.shape, dtype=np.float32)
    for start in range(0, len(units), 4096):  # bounds the float64 copies
        part = slice(start, start + 4096)
        units[part] = unit_rows(vectors[part])
    rows, distances = nearest_others(units, NEIGHBORS)
    codes = reduced(units)
    findings = find_duplicates(collection.shapes, units, collection.body, advance)
    nearest = distances[:, 0] if rows.shape[1] else np.empty(0)
    return Analysis(
        neighbors=rows,
        distances=distances,
        places=lay_out(codes),
        groups=tuple(find_groups(codes, collection.embeddings.ids)),
        outliers=tuple(find_outliers(nearest).tolist()),
        findings=tuple(findings),
    )
