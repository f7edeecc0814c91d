"""An index of more vectors than an exact search answers at once: a graph of neighbours, by usearch.

It is a folder beside the file of the vectors, made once and mapped from then on: the graph, whose
vectors are rounded; the vectors as they are, which say how near what the graph finds is; the ids
and the sources. The file's size and time tell whether it is still of that file.
"""

import json
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.cache.store import stamp
from pc_crvae.embedding.cosine import nearest_of, unit_rows
from pc_crvae.embedding.index import About, Embeddings, about_text, parse_about
from pc_crvae.embedding.texts import Texts, write_texts
from pc_crvae.errors import MissingPackageError, UserError
from pc_crvae.utils.files import atomic_folder

FORMAT = 1
"""Of the folder; that of another one is made anew."""

_LINKS, _WIDTH_OF_BUILDING, _WIDTH_OF_SEARCH = 16, 128, 128
"""Of the graph: the links of a vector, and how many candidates are followed at once."""

_LOOKED_AT = 4
"""Candidates for each that is wanted: the graph's vectors are rounded, the true ones decide."""

_FEWEST_LOOKED_AT = 64
_ROWS_AT_ONCE = 20_000

_QUERIES, _WANTED = 200, 10
"""Of the measurement of the recall: the queries, rows of the index, and the hits of each."""

MOST_LOST = 0.005
"""Recall that half precision or 8 bits may cost."""

_SAMPLE = 20_000
_GRAPH, _VECTORS, _IDS, _SOURCES, _ABOUT = (
    *("graph.usearch", "vectors.npy", "ids.txt", "sources.txt", "about.json"),
)


class ApproximateIndex:
    """Vectors of shapes, mapped from a folder, of which nearly the nearest are found.

    Attributes:
        ids: (n,) names, unique.
        vectors: (n, d) float32.
        sources: (n,) absolute paths of the files; empty texts where the shapes had none.
        about: what they are.
        precision: the type of the graph's vectors, ``i8``, ``f16`` or ``f32``.
        recall: the share of the true ten nearest that it found when it was made.
    """

    def __init__(self, folder: Path, values: dict[str, Any]) -> None:
        self.about: About = parse_about(folder / _ABOUT, values["about"])
        self.precision: str = values["precision"]
        self.recall: float = values["recall"]
        self.ids, self.sources = Texts(folder / _IDS), Texts(folder / _SOURCES)
        self.vectors: NDArray[np.float32] = np.load(folder / _VECTORS, mmap_mode="r")
        self._graph = _usearch(folder).Index.restore(str(folder / _GRAPH), view=True)
        if self._graph is None or len(self._graph) != len(self.vectors):
            raise UserError(f"{folder} is damaged: delete it, and it is made anew")
        self._graph.expansion_search = _WIDTH_OF_SEARCH

    def __len__(self) -> int:
        return len(self.vectors)

    def find(self, name: str) -> int | None:
        """Return the row of an id; None where there is none."""
        return self.ids.find(name)

    def nearest(
        self, queries: NDArray[np.floating], count: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Find vectors that are nearly always the nearest, with their exact distances.

        Args:
            queries: (q, d).
            count: the number of hits wanted of each; no more are given than there are.

        Returns:
            As :meth:`~pc_crvae.embedding.index.Embeddings.nearest`.
        """
        return _nearest(self._graph, self.vectors, queries, count)


def _nearest(
    graph: Any, vectors: NDArray[np.float32], queries: NDArray[np.floating], count: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    def near(units: NDArray[np.float64], count: int) -> Iterator[NDArray[np.int64]]:
        looked_at = min(len(vectors), max(_FEWEST_LOOKED_AT, _LOOKED_AT * count))
        for unit in units.astype(np.float32):
            yield np.sort(graph.search(unit, looked_at).keys.astype(np.int64))

    return nearest_of(vectors, queries, count, near)


def place_of(path: Path) -> Path:
    """Return the folder of the approximate index of a file of vectors."""
    return path.with_name(f"{path.name}.approximate")


def is_available() -> bool:
    """Whether usearch is installed."""
    return find_spec("usearch") is not None


def open_approximate(path: Path) -> ApproximateIndex | None:
    """Open what is kept beside a file of vectors; None where nothing is, or of an older file.

    Raises:
        UserError: it is damaged, or usearch is missing.
    """
    folder = place_of(path)
    try:
        values = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        if values["format"] != FORMAT or values["stamp"] != stamp(path):
            return None
        return ApproximateIndex(folder, values)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{folder} is damaged: delete it, and it is made anew") from error


def make_approximate(
    path: Path, embeddings: Embeddings, advance: Callable[[], None] = lambda: None
) -> ApproximateIndex:
    """Make the approximate index of a file of vectors, beside it, whole or not at all.

    All processors build the graph; as they race, two graphs of the same vectors differ a little.

    Args:
        path: the file.
        embeddings: what it holds.
        advance: a function to call after each vector.

    Raises:
        UserError: usearch is missing, or the folder cannot be written.
    """
    usearch = _usearch(path)
    vectors = embeddings.vectors
    state = stamp(path)
    with atomic_folder(place_of(path)) as folder:
        precision = _precision(vectors)
        graph = usearch.Index(
            ndim=vectors.shape[1],
            metric="cos",
            dtype=precision,
            connectivity=_LINKS,
            expansion_add=_WIDTH_OF_BUILDING,
            expansion_search=_WIDTH_OF_SEARCH,
        )
        for start in range(0, len(vectors), _ROWS_AT_ONCE):
            part = vectors[start : start + _ROWS_AT_ONCE]
            graph.add(np.arange(start, start + len(part)), unit_rows(part).astype(np.float32))
            for _ in part:
                advance()
        graph.save(str(folder / _GRAPH))
        np.save(folder / _VECTORS, vectors)
        write_texts(folder / _IDS, embeddings.ids)
        write_texts(folder / _SOURCES, embeddings.sources)
        values = {
            "format": FORMAT,
            "stamp": state,
            "precision": precision,
            "recall": _recall(graph, embeddings),
            "about": about_text(embeddings.about),
        }
        (folder / _ABOUT).write_text(json.dumps(values), encoding="utf-8")
    found = open_approximate(path)
    if found is None:
        raise UserError(f"{path} was changed while its index was made: try again")
    return found


def _recall(graph: Any, embeddings: Embeddings) -> float:
    """The share of the true nearest others of some rows that the graph finds."""
    chosen = np.random.default_rng(0).permutation(len(embeddings))[:_QUERIES]
    queries = embeddings.vectors[chosen]
    _, true = embeddings.nearest(queries, _WANTED + 1)
    _, found = _nearest(graph, embeddings.vectors, queries, _WANTED + 1)
    shares = [
        len((set(there) & set(here)) - {row}) / max(1, len(set(there) - {row}))
        for row, there, here in zip(chosen.tolist(), true.tolist(), found.tolist(), strict=True)
    ]
    return float(np.mean(shares))


def _precision(vectors: NDArray[np.float32]) -> str:
    """The coarsest rounding that costs at most `MOST_LOST` of recall, on a sample."""
    rng = np.random.default_rng(0)
    units = unit_rows(vectors[np.sort(rng.permutation(len(vectors))[:_SAMPLE])])
    queries = units[:_QUERIES]
    wanted = min(_WANTED + 1, len(units))
    looked_at = min(len(units), max(_FEWEST_LOOKED_AT, _LOOKED_AT * wanted))
    true = np.argsort(-(queries @ units.T), axis=1, kind="stable")[:, :wanted]
    for name, rounded in (("i8", np.rint(units * 127)), ("f16", units.astype(np.float16))):
        coarse = rounded.astype(np.float32)
        near = np.argsort(-(coarse[: len(queries)] @ coarse.T), axis=1)[:, :looked_at]
        kept = [len(set(a) & set(b)) for a, b in zip(true.tolist(), near.tolist(), strict=True)]
        if np.mean(kept) >= (1 - MOST_LOST) * wanted:
            return name
    return "f32"


def _usearch(path: Path) -> Any:
    try:
        return import_module("usearch.index")
    except ImportError as error:
        raise MissingPackageError(
            f'the index of {path} needs usearch: install it by pip install "pc-crvae[index]"'
        ) from error
