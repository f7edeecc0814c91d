"""Pairs of a collection that are the same shape, nearly the same, or mirror images.

Which pairs are compared is found by their bytes, by measures that no movement, scaling or new
triangulation changes, and by the embedding; what a pair is, their geometry alone says.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pc_crvae.collection import thresholds
from pc_crvae.collection.comparison import EXACT, KINDS, Comparison, Kind
from pc_crvae.collection.moments import finer_invariants, invariants, size_of
from pc_crvae.collection.neighbors import nearest_others
from pc_crvae.collection.pair_order import by_neighborhood
from pc_crvae.collection.pairs import PairsOfCollection
from pc_crvae.collection.shapes import Shape

_MOST_ALIKE = 24
"""Shapes of like measures that one is compared with at most."""


@dataclass(frozen=True)
class Finding:
    """A pair of shapes.

    Attributes:
        first: the row of one, which comes first by its path.
        second: the row of the other.
        comparison: the relation of the two.
    """

    first: int
    second: int
    comparison: Comparison

    @property
    def kind(self) -> Kind:
        """What they are to each other, in a word or two."""
        return self.comparison.kind


def find_duplicates(
    shapes: Sequence[Shape | None],
    units: NDArray[np.floating],
    comparing: PairsOfCollection,
    advance: Callable[[], None] = lambda: None,
) -> list[Finding]:
    """Find the pairs of a collection.

    Of shapes that are the same but for place, size and facing, each is told beside one other: the
    first by its path that it is the same as, by the strictest kind. Those that stand for
    themselves are then compared with what is near.

    Args:
        shapes: (n,); None is compared with nothing.
        units: (n, d) vectors of the shapes, of length 1.
        comparing: compares the shapes of two rows, and remembers it.
        advance: a function to call after each shape.

    Returns:
        Findings by kind, in the order of `Kind`, and by their rows.
    """
    search = _Search(shapes, comparing)
    search.same_files()
    search.exact()
    search.near(units, advance)
    order = KINDS.index
    return sorted(search.findings, key=lambda one: (order(one.kind), one.first, one.second))


class _Search:
    def __init__(self, shapes: Sequence[Shape | None], comparing: PairsOfCollection) -> None:
        self.count = len(shapes)
        self.shapes = {row: shape for row, shape in enumerate(shapes) if shape is not None}
        self.findings: list[Finding] = []
        self.standing = list(self.shapes)
        self._comparing = comparing
        self._measures = np.zeros((len(shapes), 4))
        self._finer = np.zeros((len(shapes), 5))
        for row in self.standing:
            self._measures[row] = invariants(self.shapes[row].moments)
            self._finer[row] = finer_invariants(self.shapes[row].moments)

    def same_files(self) -> None:
        first_of: dict[str, int] = {}
        for row in self.standing:
            first = first_of.setdefault(self.shapes[row].digest, row)
            if first != row:
                self.findings.append(Finding(first, row, Comparison("same file")))
        self.standing = sorted(first_of.values())

    def exact(self) -> None:
        """Shapes of the same measures: first those that also face alike, then all others."""
        self._absorb(self._pairs_alike(facing=True), frozenset({"same geometry"}))
        self._absorb(self._pairs_alike(facing=False), EXACT)

    def near(self, units: NDArray[np.floating], advance: Callable[[], None]) -> None:
        """Of those that stand, each and what the embedding says is near to it."""
        standing = np.array(self.standing, dtype=np.int64)
        rows, _ = nearest_others(units[standing], thresholds.NEIGHBORS)
        listed = zip(standing.tolist(), standing[rows].tolist(), strict=True)
        pairs = {(min(row, other), max(row, other)) for row, others in listed for other in others}
        still = set(self.standing)
        pairs |= {pair for pair in self._comparing.found if still.issuperset(pair)}
        ordered = sorted(pair for pair in pairs if self._measures_are_near(*pair))
        unknown = by_neighborhood([pair for pair in ordered if not self._comparing.is_known(pair)])
        told = 0
        for done, _ in enumerate(self._comparing.compare_all(unknown), start=1):
            while told < self.count * done // len(unknown):
                advance()
                told += 1
        for _ in range(told, self.count):
            advance()
        for pair in ordered:
            near = self._comparing.found[pair]
            if near is not None:
                self.findings.append(Finding(*pair, near))

    def _absorb(self, pairs: Iterable[tuple[int, int]], kinds: frozenset[Kind]) -> None:
        """Tell each shape that is the same as an earlier one beside it; it stands no more."""
        gone: set[int] = set()
        for first, second in pairs:
            if first in gone or second in gone:
                continue
            found = self._comparing.compare((first, second))
            if found is not None and found.kind in kinds:
                self.findings.append(Finding(first, second, found))
                gone.add(second)
        self.standing = [row for row in self.standing if row not in gone]

    def _pairs_alike(self, *, facing: bool) -> Iterator[tuple[int, int]]:
        """Pairs, first and second, whose measures agree; those that face alike as well if asked."""
        rows = self.standing
        if len(rows) < 2:
            return
        measures = self._measures[rows]
        tree = cKDTree(measures)
        for place, row in enumerate(rows):  # one by one: all at once grow with their square
            near = tree.query_ball_point(measures[place], thresholds.INVARIANTS, p=np.inf)
            earlier = sorted(other for other in near if other < place)
            if facing:
                earlier = [other for other in earlier if self._faces_alike(rows[other], row)]
            gaps = np.abs(measures[earlier] - measures[place]).max(axis=1, initial=0)
            for k in np.argsort(gaps, kind="stable")[:_MOST_ALIKE]:
                yield rows[earlier[k]], row

    def _faces_alike(self, first: int, second: int) -> bool:
        ours, theirs = self.shapes[first].moments, self.shapes[second].moments
        size = size_of(ours)
        apart = np.abs(ours.covariance - theirs.covariance).max()
        return bool(apart <= thresholds.INVARIANTS * size**2)

    def _measures_are_near(self, first: int, second: int) -> bool:
        ours, theirs = self.shapes[first], self.shapes[second]
        apart = np.abs(self._measures[first] - self._measures[second])
        # A cloud has no area to compare.
        compared = apart if ours.kind == theirs.kind == "mesh" else apart[:3]
        finer = np.abs(self._finer[first] - self._finer[second])
        is_alike = compared.max() <= thresholds.NEAR_INVARIANTS
        return bool(is_alike and (finer <= thresholds.NEAR_FINER_INVARIANTS).all())
