"""The comparisons of a collection's pairs: made by several processes, kept from run to run."""

import base64
import hashlib
import json
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pc_crvae.collection.bodies import Body, body_of
from pc_crvae.collection.comparison import Comparison, compare
from pc_crvae.collection.first_look import Outline, may_be_near
from pc_crvae.collection.kernels import compile_kernels
from pc_crvae.collection.pair_order import Pair
from pc_crvae.collection.reading import Collection
from pc_crvae.collection.shapes import Shape, digest_of, shape_of, values_of
from pc_crvae.data.cache.kept import Kept
from pc_crvae.data.facing import up_of_file
from pc_crvae.data.readers.shape_files import read_shape
from pc_crvae.errors import UserError
from pc_crvae.utils.threads import usable_cores
from pc_crvae.utils.workers import Answer, Found, Lost, answers

FORMAT = 5
"""Raise it where a comparison of the same two shapes may come out differently."""

HELD = 500_000
"""Vertices and triangles of the shapes that stay in a process's memory, to be compared with the
next: some 50 MB."""

FEW = 64
"""Pairs up to which no other process is worth its start: they are compared in this one."""

_SKETCHES = 512
"""That stay in a process's memory, some 40 kB each."""


class Reread(NamedTuple):
    """A shape read again, to be compared.

    Attributes:
        body: None where the file cannot be read any more.
        size: how many vertices and triangles it has.
        digest: of its content.
    """

    body: Body | None = None
    size: int = 0
    digest: str = ""


class Compared(NamedTuple):
    """What a comparison found.

    Attributes:
        comparison: None where the shapes are not even near.
        digests: of what was read for it, empty where a file could not be read; None where nothing
            had to be read.
    """

    comparison: Comparison | None
    digests: Sequence[str] | None = None


class Bodies:
    """Bodies of files, the last ones held.

    Args:
        up: what is said of the axis that points up.
    """

    def __init__(self, up: str | None) -> None:
        self._up = up
        self._held: OrderedDict[str, Reread] = OrderedDict()
        self._size = 0

    def of(self, path: str, known: Shape) -> Reread:
        """Return what a file holds, read if it is not held."""
        if path not in self._held:
            self._held[path] = reread(Path(path), self._up, known)
            self._size += 1000 + self._held[path].size
            while self._size > HELD and len(self._held) > 2:
                _, dropped = self._held.popitem(last=False)
                self._size -= 1000 + dropped.size
        self._held.move_to_end(path)
        return self._held[path]

    def compare(self, first: str, second: str, known: Sequence[Shape]) -> Compared:
        """Compare two files as they are now; ``known`` is what either was measured to be."""
        ours, theirs = self.of(first, known[0]), self.of(second, known[1])
        read = ours.body is not None and theirs.body is not None
        found = compare(ours.body, theirs.body) if ours.body and theirs.body else None
        return Compared(found, [ours.digest, theirs.digest] if read else ["", ""])

    def look_and_compare(self, task: Sequence[str]) -> Compared:
        """Compare two files unless their sketches lie far apart: paths, then :func:`sketch_of`."""
        first, second, *texts = task
        known, outlines = zip(*map(_sketch, texts), strict=True)
        if may_be_near(*outlines):
            return self.compare(first, second, known)
        return Compared(None)


def sketch_of(shape: Shape) -> str:
    """Return what is known of a shape, and its outline, as a text that a worker can be told."""
    points = base64.b64encode(shape.points.astype("<f4").tobytes()).decode("ascii")
    return json.dumps([values_of(shape), points])


@lru_cache(_SKETCHES)
def _sketch(text: str) -> tuple[Shape, Outline]:
    """Return the shape that :func:`sketch_of` told, and its outline for a first look."""
    values, points = json.loads(text)
    shape = shape_of(values, np.frombuffer(base64.b64decode(points), "<f4"))
    return shape, Outline(shape.moments, shape.points)


def reread(path: Path, up: str | None, known: Shape) -> Reread:
    """Read a shape again, to be compared.

    What was measured of it is used where its content is the same.
    """
    try:
        content = read_shape(path, unmeasured=lambda count: None)
        digest = digest_of(path, content.sha256)
    except (UserError, OSError):  # gone or changed since it was measured, a moment ago
        return Reread()
    if content.surface is None:
        size = 0 if content.points is None else len(content.points)
    else:
        size = len(content.surface.vertices) + len(content.surface.faces)
    moments = known.moments if digest == known.digest else None
    return Reread(body_of(content, up, moments), size, digest)


def prepare_comparing(up: str | None) -> Answer:
    """Return what compares the two files of a task in a worker, unless a first look is enough."""
    bodies = Bodies(up)
    return lambda task: as_found(bodies.look_and_compare(task))


def as_found(compared: Compared) -> Found:
    """Return a comparison as workers answer and stores keep it; :func:`of_found` reads it."""
    comparison, digests = compared
    values = None if comparison is None else asdict(comparison)
    return {"comparison": values, "digests": digests}, {}


def of_found(found: Found) -> Compared:
    """Read what :func:`as_found` gave."""
    values, digests = found[0]["comparison"], found[0]["digests"]
    return Compared(None if values is None else Comparison(**values), digests)


class PairsOfCollection:
    """What compares the shapes of a collection by their rows, and remembers it.

    Args:
        collection: the shapes.
        store: the store that keeps comparisons from run to run; None: nothing is kept.

    Attributes:
        found: what is known of pairs so far; None of those that are not even near.
    """

    def __init__(self, collection: Collection, store: Kept | None = None) -> None:
        self.found: dict[Pair, Comparison | None] = {}
        self._sources = collection.embeddings.sources
        self._shapes = {row: one for row, one in enumerate(collection.shapes) if one is not None}
        self._up = collection.embeddings.about.up
        self._store = store
        self._bodies = Bodies(self._up)
        self._has_warned = False

    def is_known(self, pair: Pair) -> bool:
        """Whether a pair was compared, in this run or in one before."""
        if pair not in self.found and self._store is not None:
            kept = self._store.get(self._key(pair))
            if kept is not None:
                self.found[pair] = of_found(kept).comparison
        return pair in self.found

    def compare(self, pair: Pair) -> Comparison | None:
        """Compare two shapes, in this process, unless they are known."""
        if not self.is_known(pair):
            compile_kernels()
            first, second = (self._sources[row] for row in pair)
            known = [self._shapes[row] for row in pair]
            self._keep(pair, self._bodies.compare(first, second, known))
        return self.found[pair]

    def compare_all(self, pairs: Sequence[Pair]) -> Iterator[Pair]:
        """Compare pairs by several processes, in their order, unless a first look is enough.

        Yields:
            A pair, once it is known.

        Raises:
            UserError: a pair ended the process that compared it.
        """
        if pairs:
            compile_kernels()
        tasks = map(self._task, pairs)
        if len(pairs) <= FEW:
            for pair, task in zip(pairs, tasks, strict=True):
                self._keep(pair, self._bodies.look_and_compare(task))
                yield pair
            return
        with closing(answers(prepare_comparing, self._up, tasks, usable_cores())) as found:
            for pair, (_, answer) in zip(pairs, found, strict=True):
                if isinstance(answer, Lost):
                    first, second = (self._sources[row] for row in pair)
                    raise UserError(
                        f"the comparison of {first} and {second} ended its process "
                        f"({answer.signal}): is one of them too large? Take it away, or free "
                        "memory; the same command goes on from there"
                    )
                if isinstance(answer, UserError):
                    raise answer
                self._keep(pair, of_found(answer))
                yield pair

    def _keep(self, pair: Pair, found: Compared) -> None:
        """Remember what was found, from run to run unless a file is no longer what was measured."""
        self.found[pair] = found.comparison
        measured = [self._shapes[row].digest for row in pair]
        if found.digests is None or found.digests == measured:
            if self._store is not None:
                self._store.put(self._key(pair), as_found(found))
        elif not self._has_warned:
            self._has_warned = True
            first, second = (self._sources[row] for row in pair)
            warnings.warn(
                f"{first} or {second} has changed or gone since it was measured, and others may "
                "have: run the command again, to compare them as they are",
                stacklevel=2,
            )

    def _task(self, pair: Pair) -> list[str]:
        sketches = [sketch_of(self._shapes[row]) for row in pair]
        return [*(self._sources[row] for row in pair), *sketches]

    def _key(self, pair: Pair) -> str:
        about: list[Any] = [FORMAT]
        for row in pair:
            path = Path(self._sources[row])
            up = up_of_file(path, self._up)
            about.append([self._shapes[row].digest, path.suffix.lower(), up])
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()
