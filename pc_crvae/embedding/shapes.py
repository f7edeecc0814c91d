"""Shapes of one's own, in files or arrays, embedded and looked up in an index."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.facing import up_in_full
from pc_crvae.data.readers.shape_files import ShapeFile
from pc_crvae.data.readers.shape_workers import read_clouds
from pc_crvae.embedding.index import About, Embeddings, embed_clouds
from pc_crvae.embedding.opening import Index
from pc_crvae.errors import UserError

if TYPE_CHECKING:
    from pc_crvae.models.points.model import PointModel
    from pc_crvae.runs.saved import SavedModel


def about_of(
    saved: "SavedModel", points: int | None, up: str | None, average_over: str | None = None
) -> About:
    """Return how shapes of one's own are embedded by a model, as ``embed`` takes the rest."""
    return About(
        model_sha256=saved.weights_sha256,
        points=points or saved.point_model.points,
        up=up_in_full(up),
        average_over=average_over,
    )


def embeddings_of_files(
    model: "PointModel",
    files: Sequence[ShapeFile],
    about: About,
    refuse: Callable[[str], None] | None = None,
    advance: Callable[[], None] = lambda: None,
    *,
    unmeasured: Callable[[int], None] | None = None,
) -> Embeddings:
    """Embed the shapes of files, leaving out those that cannot be used if asked to.

    Args:
        model: the model that gives the vectors.
        files: the files of meshes and clouds, which several processes read.
        about: the number of points drawn of each, the axis that is up, and the averaging.
        refuse: takes a sentence that names each file that cannot be used; None: there may be none.
        advance: a function to call after each file.
        unmeasured: the argument of :func:`~pc_crvae.data.readers.shape_files.load_shape`.

    Raises:
        UserError: none can be used; without ``refuse``, or one cannot.
    """
    vectors: dict[int, NDArray[np.float32]] = {}
    for place, found in embed_files(model, files, about, advance, unmeasured=unmeasured):
        if not isinstance(found, UserError):
            vectors[place] = found
        elif refuse is None:
            raise found
        else:
            refuse(str(found))
    return gathered(files, vectors, about)


def embed_files(
    model: "PointModel",
    files: Sequence[ShapeFile],
    about: About,
    advance: Callable[[], None] = lambda: None,
    *,
    unmeasured: Callable[[int], None] | None = None,
    workers: int | None = None,
) -> Iterator[tuple[int, NDArray[np.float32] | UserError]]:
    """Embed the shapes of files, as :func:`embeddings_of_files`, and give each when it is done.

    The arguments are those of :func:`embeddings_of_files`, and ``workers``, the number of processes
    that read the files; None: by the processors there are.

    Yields:
        The place of a file among ``files``, and its vector (d,), or why it cannot be used; every
        place once, in an order of its own.
    """
    paths = [file.path for file in files]
    loaded = read_clouds(paths, about.points, about.up, unmeasured, workers=workers)
    yield from embed_loaded(model, files, loaded, about, advance)


def embed_loaded(
    model: "PointModel",
    files: Sequence[ShapeFile],
    loaded: Iterable[NDArray[np.float32] | UserError],
    about: About,
    advance: Callable[[], None],
) -> Iterator[tuple[int, NDArray[np.float32] | UserError]]:
    """Embed what was read of files, each a cloud or why there is none; as :func:`embed_files`."""
    read: list[int] = []
    refused: list[tuple[int, UserError]] = []

    def clouds() -> Iterator[NDArray[np.float32]]:
        for place, cloud in enumerate(loaded):
            if isinstance(cloud, UserError):
                refused.append((place, cloud))
            else:
                read.append(place)
                yield cloud
            advance()

    for row, found in embed_clouds(model, clouds(), about.average_over):
        yield from refused
        refused.clear()
        place = read[row]
        if isinstance(found, str):
            yield place, UserError(f"{files[place].path}: {found}")
        else:
            yield place, found
    yield from refused


def gathered(
    files: Sequence[ShapeFile], vectors: Mapping[int, NDArray[np.float32]], about: About
) -> Embeddings:
    """Return the vectors of some of the files, by their places among them, in their order.

    Raises:
        UserError: there is none.
    """
    if not vectors:
        raise UserError(f"every one of the {len(files)} files was refused: nothing is left")
    kept = sorted(vectors)
    return Embeddings(
        tuple(files[place].id for place in kept),
        np.stack([vectors[place] for place in kept]),
        tuple(str(files[place].path) for place in kept),
        about,
    )


def embeddings_of_clouds(
    model: "PointModel",
    clouds: Iterable[NDArray[np.float32]],
    ids: Sequence[str],
    about: About,
    advance: Callable[[], None] = lambda: None,
) -> Embeddings:
    """Embed clouds that lie in no files of their own.

    Args:
        model: the model that gives the vectors.
        clouds: (P, 3) each, prepared as in training; taken one by one.
        ids: the names of the clouds.
        about: what the vectors are.
        advance: a function to call after each cloud.

    Raises:
        UserError: one of them cannot be embedded.
    """
    vectors = np.empty((len(ids), model.vector_size), dtype=np.float32)
    for row, found in embed_clouds(model, clouds, about.average_over):
        if isinstance(found, str):
            raise UserError(f"the shape {ids[row]} cannot be embedded: {found}")
        vectors[row] = found
        advance()
    return Embeddings(tuple(ids), vectors, ("",) * len(ids), about)


_MOST_LIKENED = 20_000
"""Ids that a name which is none is compared with: of a million that would take minutes."""


@dataclass(frozen=True)
class Hit:
    """A shape of an index near to a query.

    Attributes:
        id: the name of the shape.
        distance: 1 - cosine, in [0, 2].
        row: the row of the shape in the index.
    """

    id: str
    distance: float
    row: int


def require_model_of(index: Index, weights_sha256: str, folder: Path) -> None:
    """Check that a saved model is the one that made an index.

    Args:
        index: the index.
        weights_sha256: the SHA-256 of the model's weights, as they were read.
        folder: the folder that the model was read from.

    Raises:
        UserError: it is another.
    """
    if weights_sha256 != index.about.model_sha256:
        raise UserError(
            f"the index was made by another model than {folder}, whose vectors mean other things: "
            "search it with the model that made it, or embed its shapes anew"
        )


def find_query(query: str, index: Index) -> Path | int:
    """Return what a query names: a file, or the row of a shape in the index.

    Raises:
        UserError: it names neither.
    """
    path = Path(query)
    if path.is_file():
        return path
    row = index.find(query)
    if row is not None:
        return row
    near = difflib.get_close_matches(query, index.ids[:_MOST_LIKENED], n=1)
    question = f", did you mean {near[0]}?" if near else f", whose ids are such as {index.ids[0]}"
    raise UserError(f"{query} is neither a file nor the id of a shape in the index{question}")


def query_vector(
    query: Path | int,
    index: Index,
    model: "PointModel",
    about: About,
    *,
    unmeasured: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Return the vector (d,) of a query, embedded as ``about`` says where it is a file.

    Args:
        query: the query, as :func:`find_query` gives it.
        index: the index.
        model: the model that made it.
        about: the settings by which the file is embedded.
        unmeasured: the argument of :func:`~pc_crvae.data.readers.shape_files.load_shape`.

    Raises:
        UserError: the file cannot be used.
    """
    if isinstance(query, int):
        own: NDArray[np.float32] = index.vectors[query]
        return own
    files = [ShapeFile(query, str(query))]
    vector: NDArray[np.float32] = embeddings_of_files(
        model, files, about, unmeasured=unmeasured
    ).vectors[0]
    return vector


def nearest_hits(index: Index, vector: NDArray[np.floating], count: int) -> list[Hit]:
    """Return the shapes nearest to a vector (d,), the nearest first, at most ``count``."""
    distances, rows = index.nearest(vector[None], count)
    return [
        Hit(index.ids[row], distance, row)
        for distance, row in zip(distances[0].tolist(), rows[0].tolist(), strict=True)
    ]
