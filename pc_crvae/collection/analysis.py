"""All that is found out of a collection: neighbours, map, groups, outliers and duplicates."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pc_crvae.collection.duplicates import Finding, find_duplicates
from pc_crvae.collection.groups import Group, find_groups, find_outliers, reduced
from pc_crvae.collection.layout import LAYOUT, STEPS, lay_out
from pc_crvae.collection.neighbors import nearest_others
from pc_crvae.collection.pairs import PairsOfCollection
from pc_crvae.collection.reading import Collection
from pc_crvae.data.cache.kept import Kept
from pc_crvae.utils.counting import Counting, silent

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

    def count(self) -> Counter[str]:
        """How many findings there are, by kind."""
        return Counter(found.kind for found in self.findings)


def analyse(
    collection: Collection, *, store: Kept | None = None, progress: Counting = silent
) -> Analysis:
    """Find out all that there is to tell of a collection.

    Args:
        collection: the collection that was read.
        store: the store that keeps findings from run to run; None: nothing is kept.
        progress: a function to call with how far the work is.
    """
    units = collection.embeddings.units
    rows, distances = nearest_others(units, NEIGHBORS)
    with progress("comparing", len(collection)) as advance:
        comparing = PairsOfCollection(collection, store)
        findings = find_duplicates(collection.shapes, units, comparing, advance)
    codes = reduced(units)
    with progress("laying out the map, step", STEPS) as advance:
        places = _laid_out(codes, store, advance)
    with progress("grouping", 1) as advance:
        groups = find_groups(codes, collection.embeddings.ids)
        advance()
    nearest = distances[:, 0] if rows.shape[1] else np.empty(0)
    outliers = tuple(find_outliers(nearest).tolist())
    return Analysis(
        neighbors=rows,
        distances=distances,
        places=places,
        groups=tuple(groups),
        outliers=outliers,
        findings=tuple(findings),
    )


def _laid_out(
    codes: NDArray[np.float64], store: Kept | None, advance: Callable[[], None]
) -> NDArray[np.float64]:
    """The map of the codes, from the store where the same codes were laid out before."""
    key = hashlib.sha256(codes.tobytes()).hexdigest()
    key = hashlib.sha256(f"map {LAYOUT} {codes.shape} {key}".encode()).hexdigest()
    known = None if store is None else store.get(key)
    if known is not None:
        return known[1]["places"]
    places = lay_out(codes, advance)
    if store is not None:
        store.put(key, ({}, {"places": places}))
    return places
