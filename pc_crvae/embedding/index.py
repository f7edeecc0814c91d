"""Embeddings: vectors of shapes under their names, kept in a file and searched.

A file holds what says whether another vector may be compared with its own: the hash of the
model's weights, the points drawn of each shape, and the axis that was up. ``.npz`` holds the
arrays ``ids``, ``vectors`` and ``sources`` and the JSON text ``about``; ``.parquet`` the columns
``id``, ``vector`` and ``source``, and the same text as metadata under ``pc_crvae``, its SHA-256
under ``pc_crvae_sha256``. What lies in a file has checksums, which every loading verifies: those of
zip's members, and of Parquet's pages. Parquet files of 0.1 have none, and load as they are.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import numpy as np
import pydantic
from numpy.typing import NDArray

from pc_crvae.data.cards import Split
from pc_crvae.data.facing import up_in_full
from pc_crvae.embedding.cosine import nearest_of, unit_rows
from pc_crvae.embedding.names import Representations
from pc_crvae.embedding.parquet import Rows, read_parquet, require_pyarrow, write_parquet
from pc_crvae.embedding.rotation_average import RotationGroup, averaged
from pc_crvae.errors import UserError, told
from pc_crvae.utils.files import atomic_path, read_npz
from pc_crvae.utils.up_axes import UpText
from pc_crvae.utils.validation import StrictModel, validate
from pc_crvae.version import __version__

if TYPE_CHECKING:
    from pc_crvae.models.points.model import PointModel

FORMAT_VERSION = 1
SUFFIXES = (".npz", ".parquet")
MOST_POINTS = 2**20
"""Points drawn of a shape at most: encoders look at some thousands."""

_ROWS_AT_ONCE = 4096
ABOUT = "pc_crvae"
"""The name of what a Parquet file says of its vectors."""

_DISTANCES_AT_ONCE = 1 << 24
"""Between queries and vectors: 64 megabytes, of many queries at once a product of matrices."""

_AT_ONCE_ON_A_CPU = 16
"""Clouds that are embedded at once there: 64 were no quicker, and took 280 MB more."""

_UNSURE = 1e-5
"""How far a distance in single precision may lie from the true one."""


class CardSplit(StrictModel):
    """The split of a data set that was embedded: the card's name or path, and the folder."""

    name: str
    split: Split
    root: str | None


class About(StrictModel):
    """What the vectors of a file are.

    Attributes:
        model_sha256: the SHA-256 of the weights of the model that gave them.
        points: the number of points drawn of each shape, where it has as many.
        up: the axis that points up in the sources, of each kind of file, in full.
        average_over: the group of rotations that vectors are means over; None: of one pass.
        data: the split of a data set; None where the shapes were files or arrays.
    """

    model_sha256: Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")]
    points: Annotated[int, pydantic.Field(ge=1, le=MOST_POINTS)]
    up: UpText
    average_over: RotationGroup | None = None
    data: CardSplit | None = None

    def for_queries(self, up: str | None = None) -> Self:
        """Return what the vectors of queries are; files face as those of the index by default."""
        full = up_in_full(up, base=None if self.data else self.up)
        return self.model_copy(update={"up": full})


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Vectors of shapes.

    Attributes:
        ids: (n,) names, unique.
        vectors: (n, d) float32, what the model embeds shapes as; finite.
        sources: (n,) absolute paths of the files; empty texts where the shapes had none.
        about: what they are.

    Raises:
        ValueError: there is none, a shape or type is wrong, a value is not finite, or two ids
            are equal.
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    sources: tuple[str, ...]
    about: About

    def __post_init__(self) -> None:
        vectors = self.vectors
        if vectors.ndim != 2 or 0 in vectors.shape or vectors.dtype != np.float32:
            raise ValueError(
                f"vectors should be float32 (n, d), n and d above 0, not {vectors.dtype} "
                f"{vectors.shape}"
            )
        if not np.isfinite(vectors).all():
            raise ValueError("a vector is not finite")
        if not len(self.ids) == len(self.sources) == len(vectors):
            raise ValueError(
                f"{len(vectors)} vectors have {len(self.ids)} ids and {len(self.sources)} sources"
            )
        if len(set(self.ids)) < len(self.ids):
            raise ValueError("two ids are equal")

    def __len__(self) -> int:
        return len(self.ids)

    def find(self, name: str) -> int | None:
        """Return the row of an id; None where there is none."""
        return self.ids.index(name) if name in self.ids else None

    @cached_property
    def units(self) -> NDArray[np.float32]:
        """The vectors (n, d), of length 1 each; a vector of zeros stays."""
        units = np.empty_like(self.vectors)
        for start in range(0, len(self), _ROWS_AT_ONCE):  # bounds the float64 copies
            part = slice(start, start + _ROWS_AT_ONCE)
            units[part] = unit_rows(self.vectors[part])
        return units

    def nearest(
        self, queries: NDArray[np.floating], count: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Find the vectors nearest to each query by cosine distance, 1 - cosine, in [0, 2].

        Why the cosine: see :mod:`pc_crvae.evaluation.metrics.retrieval`, which scores by
        the same one.

        Args:
            queries: (q, d).
            count: the number of hits wanted of each; no more are given than there are.

        Returns:
            Distances (q, min(count, n)), the nearest first, and the rows of these vectors;
            of equals the first row comes first. A vector is at distance 0 from itself.

        Raises:
            ValueError: queries of another size, or a count below 1.
        """
        return nearest_of(self.vectors, queries, count, self._near)

    def _near(self, units: NDArray[np.float64], count: int) -> Iterator[NDArray[np.int64]]:
        # Single precision says which ones may be among the nearest, double which ones are.
        at_once = max(1, _DISTANCES_AT_ONCE // len(self))
        for start in range(0, len(units), at_once):
            block = units[start : start + at_once].astype(np.float32)
            for rough in 1 - block @ self.units.T:
                limit = np.partition(rough, count - 1)[count - 1] + 2 * _UNSURE
                yield np.flatnonzero(rough <= limit)

    def save(self, path: Path) -> None:
        """Write a file, whole or not at all; its suffix chooses the format.

        Raises:
            UserError: another suffix, pyarrow is missing for ``.parquet``, or the file cannot be
                written.
        """
        check_suffix(path)
        text = about_text(self.about)
        if path.suffix == ".parquet":
            rows = Rows(list(self.ids), self.vectors, list(self.sources))
            write_parquet(path, [rows], self.vectors.shape[1], {ABOUT: text})
            return
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                ids=np.array(self.ids),
                vectors=self.vectors,
                sources=np.array(self.sources),
                about=np.array(text),
            )


def load_embeddings(path: Path) -> Embeddings:
    """Read what :meth:`Embeddings.save` wrote.

    Raises:
        UserError: the file is missing, damaged, of another kind or format version, or pyarrow is
            missing for ``.parquet``.
    """
    check_suffix(path)
    if not path.is_file():
        raise UserError(f"there is no file {path}: embed shapes to make an index")
    if path.suffix == ".npz":
        ids, vectors, sources, text = _read_npz(path)
    else:
        (ids, vectors, sources), texts = read_parquet(path, [ABOUT])
        text = texts[ABOUT]
    about = parse_about(path, text)
    with told(f"{path} is damaged", ValueError):
        embeddings = Embeddings(tuple(ids), vectors, tuple(sources), about)
    embeddings.units  # noqa: B018 - made now, so that the first search is as quick as any
    return embeddings


def check_points(points: int | None, name: str) -> None:
    """Refuse a number of points that cannot be drawn of a shape; None is the model's.

    Raises:
        UserError: it is below 1, or above `MOST_POINTS`.
    """
    if points is not None and not 1 <= points <= MOST_POINTS:
        raise UserError(f"{name} must be from 1 to {MOST_POINTS:,}, not {points:,}")


def check_suffix(path: Path) -> None:
    """Refuse a name that no format goes with, and one whose format needs what is not installed.

    Raises:
        UserError: either of them.
    """
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path} should end in {' or '.join(SUFFIXES)}")
    if path.suffix == ".parquet":
        require_pyarrow(path)


def embed_clouds(
    model: "PointModel",
    clouds: Iterable[NDArray[np.float32]],
    average_over: RotationGroup | None = None,
) -> Iterator[tuple[int, NDArray[np.float32] | str]]:
    """Embed clouds of differing point counts, a batch of equal ones at a time.

    Args:
        model: the model that gives the vectors.
        clouds: (P, 3) each, prepared as in training; taken one by one.
        average_over: rotations that vectors are means over; None: one pass over each as it is.

    Yields:
        The place of a cloud among those taken, and its vector (d,), or the reason why it has
        none; every place once, in an order of its own.
    """
    import torch

    from pc_crvae.embedding.extraction import batches_of_one_size
    from pc_crvae.models.pretrained import ENCODED_AT_ONCE

    def once(batch: NDArray[np.float32]) -> Representations:
        return {"vector": model.vectors(torch.from_numpy(batch)).numpy()}

    encode = once if average_over is None else averaged(once, average_over)
    at_once = ENCODED_AT_ONCE
    if model.device.type == "cpu":
        at_once = min(at_once, _AT_ONCE_ON_A_CPU)
    for places, batch in batches_of_one_size(clouds, lambda points: at_once):
        try:
            vectors = encode(batch)["vector"]
        except ValueError as error:  # too few points for the encoder
            yield from ((place, str(error)) for place in places)
            continue
        for place, vector in zip(places, vectors, strict=True):
            finite = np.isfinite(vector).all()
            yield place, vector if finite else "the model gives a vector that is not finite"


def about_text(about: About) -> str:
    """Return what a file says of its vectors."""
    versions = {"format_version": FORMAT_VERSION, "pc_crvae_version": __version__}
    return json.dumps(versions | about.model_dump())


def parse_about(path: Path, text: str) -> About:
    """Read what :func:`about_text` gave, of a file.

    Raises:
        UserError: it is damaged, or of another format version.
    """
    try:
        values = json.loads(text)
        version = values.pop("format_version")
        written_by = values.pop("pc_crvae_version")
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise UserError(f"{path} does not say what its vectors are: make it anew") from error
    if version != FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {version}, and this version of pc_crvae reads "
            f"{FORMAT_VERSION}: use the version that wrote it, {written_by}, or make it anew"
        )
    return validate(About, values, str(path))


_Columns = tuple[list[str], NDArray[np.float32], list[str], str]


def _read_npz(path: Path) -> _Columns:
    # Stored, they take no more than the file.
    arrays = read_npz(path, ["ids", "vectors", "sources", "about"], most=path.stat().st_size)
    ids, vectors, sources, about = arrays.values()
    if not all(array.dtype.kind == "U" for array in (ids, sources, about)) or about.ndim:
        raise UserError(f"{path} holds no embeddings: its ids, sources and about should be texts")
    try:
        return ids.reshape(-1).tolist(), vectors, sources.reshape(-1).tolist(), str(about)
    except (ValueError, UnicodeError) as error:
        raise UserError(f"{path} is damaged: a text of it is none") from error
