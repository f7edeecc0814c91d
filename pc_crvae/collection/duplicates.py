"""Pairs of a collection that are the same shape, nearly the same, or mirror images.

Which pairs are compared is found by their bytes, by measures that no movement, scaling or new
triangulation changes, and by the embedding; what a pair is, their geometry alone says.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pc_crvae.collection import thresholds
from pc_crvae.collection.alignment import may_be_near
from pc_crvae.collection.bodies import Body, Outline
from pc_crvae.collection.comparison import EXACT, Comparison, Kind, compare
from pc_crvae.collection.moments import invariants, size_of
from pc_crvae.collection.neighbors import nearest_others
from pc_crvae.collection.shapes import Shape

_MOST_ALIKE = 24
"""Shapes of like measures that one is compared with at most."""

_HELD = 3_000_000
"""Vertices and triangles of the shapes that stay in memory, to be compared with the next."""

_OUTLINES = 4096
"""That stay in memory, some 30 kB each."""


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
    read_body: Callable[[int], Body | None],
    advance: Callable[[], None] = lambda: None,
) -> list[Finding]:
    """Find the pairs of a collection.

    Of shapes that are the same but for place, size and facing, each is told beside one other: the
    first by its path that it is the same as, by the strictest kind. Those that stand for
    themselves are then compared with what is near.

    Args:
        shapes: (n,); None is compared with nothing.
        units: (n, d) vectors of the shapes, of length 1.
        read_body: gives the shape of a row, None where it cannot be had any more.
        advance: a function to call after each shape.

    Returns:
        Findings by kind, in the order of `Kind`, and by their rows.
    """
    search = _Search(shapes, read_body)
    search.same_files()
    search.exact()
    search.near(units, advance)
    order = {kind: place for place, kind in enumerate(("same file", *_BY_STRICTNESS))}
    return sorted(search.findings, key=lambda found: (order[found.kind], found.first, found.second))


_BY_STRICTNESS: tuple[Kind, ...] = ("same geometry", "scaled", "turned", "mirrored", "near")


class _Search:
    def __init__(
        self, shapes: Sequence[Shape | None], read_body: Callable[[int], Body | None]
    ) -> None:
        self.shapes = shapes
        self.findings: list[Finding] = []
        self.standing = [row for row, shape in enumerate(shapes) if shape is not None]
        self._bodies = _Bodies(shapes, read_body)
        self._compared: dict[tuple[int, int], Comparison | None] = {}

    def same_files(self) -> None:
        first_of: dict[str, int] = {}
        for row in self.standing:
            first = first_of.setdefault(self._shape(row).digest, row)
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
        pairs = {
            (min(row, other), max(row, other))
            for row, others in zip(standing.tolist(), standing[rows].tolist(), strict=True)
            for other in others
        }
        pairs |= {pair for pair in self._compared if set(pair) <= set(self.standing)}
        seconds: dict[int, list[int]] = {}
        for first, second in sorted(pairs):
            seconds.setdefault(first, []).append(second)
        outline = lru_cache(_OUTLINES)(self._outline)
        for row in range(len(self.shapes)):
            for other in seconds.get(row, ()):
                known = (row, other) in self._compared
                if not known and not self._may_be_near(row, other, outline):
                    continue
                found = self._compare(row, other)
                if found is not None:
                    self.findings.append(Finding(row, other, found))
            advance()

    def _absorb(self, pairs: Iterable[tuple[int, int]], kinds: frozenset[Kind]) -> None:
        """Tell each shape that is the same as an earlier one beside it; it stands no more."""
        gone: set[int] = set()
        for first, second in pairs:
            if first in gone or second in gone:
                continue
            found = self._compare(first, second)
            if found is not None and found.kind in kinds:
                self.findings.append(Finding(first, second, found))
                gone.add(second)
        self.standing = [row for row in self.standing if row not in gone]

    def _pairs_alike(self, *, facing: bool) -> Iterator[tuple[int, int]]:
        """Pairs, first and second, whose measures agree; those that face alike as well if asked."""
        rows = self.standing
        if len(rows) < 2:
            return
        measures = np.array([invariants(self._shape(row).moments) for row in rows])
        tree = cKDTree(measures)
        near = tree.query_ball_point(measures, thresholds.INVARIANTS, p=np.inf)
        for place, row in enumerate(rows):
            earlier = [other for other in near[place] if other < place]
            if facing:
                earlier = [other for other in earlier if self._faces_alike(rows[other], row)]
            gaps = np.abs(measures[earlier] - measures[place]).max(axis=1, initial=0)
            for k in np.argsort(gaps, kind="stable")[:_MOST_ALIKE]:
                yield rows[earlier[k]], row

    def _faces_alike(self, first: int, second: int) -> bool:
        ours, theirs = self._shape(first).moments, self._shape(second).moments
        size = size_of(ours)
        apart = np.abs(ours.covariance - theirs.covariance).max()
        return bool(apart <= thresholds.INVARIANTS * size**2)

    def _may_be_near(self, first: int, second: int, outline: Callable[[int], Outline]) -> bool:
        ours, theirs = self._shape(first), self._shape(second)
        apart = np.abs(invariants(ours.moments) - invariants(theirs.moments))
        # A cloud has no area to compare.
        compared = apart if ours.kind == theirs.kind == "mesh" else apart[:3]
        if compared.max() > thresholds.NEAR_INVARIANTS:
            return False
        return may_be_near(outline(first), outline(second))

    def _outline(self, row: int) -> Outline:
        shape = self._shape(row)
        return Outline(shape.moments, shape.points)

    def _compare(self, first: int, second: int) -> Comparison | None:
        pair = first, second
        if pair not in self._compared:
            ours, theirs = self._bodies.of(first), self._bodies.of(second)
            self._compared[pair] = None if ours is None or theirs is None else compare(ours, theirs)
        return self._compared[pair]

    def _shape(self, row: int) -> Shape:
        shape = self.shapes[row]
        assert shape is not None
        return shape


class _Bodies:
    """Bodies by their rows, the last ones held."""

    def __init__(
        self, shapes: Sequence[Shape | None], read_body: Callable[[int], Body | None]
    ) -> None:
        self._shapes = shapes
        self._read = read_body
        self._held: OrderedDict[int, Body | None] = OrderedDict()
        self._size = 0

    def of(self, row: int) -> Body | None:
        if row in self._held:
            self._held.move_to_end(row)
            return self._held[row]
        body = self._held[row] = self._read(row)
        self._size += self._size_of(row)
        while self._size > _HELD and len(self._held) > 2:
            dropped, _ = self._held.popitem(last=False)
            self._size -= self._size_of(dropped)
        return body

    def _size_of(self, row: int) -> int:
        shape = self._shapes[row]
        return 1000 if shape is None else 1000 + shape.vertices + shape.triangles
