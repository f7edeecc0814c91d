"""Every shape of a folder read once, measured and embedded; no mesh is held."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.collection.shapes import Shape, digest_of, prepare_measuring, shape_of
from pc_crvae.collection.store import Kept, Store, key_of
from pc_crvae.data.facing import up_of_file
from pc_crvae.data.readers.shape_files import ShapeFile
from pc_crvae.data.readers.shape_workers import read_each
from pc_crvae.embedding.index import About, Embeddings, embed_clouds
from pc_crvae.errors import UserError

if TYPE_CHECKING:
    from pc_crvae.models.points.model import PointModel


@dataclass(frozen=True, eq=False)
class Collection:
    """Shapes and their vectors, in the order of their paths.

    Attributes:
        embeddings: the vectors under their ids, with the files that they came from.
        shapes: (n,) the measures; None where the file of an index is gone or was none.
        refused: a sentence for each file that could not be used.
        passed_over: files that were found and not read, by the reason.
        read: shapes that were read, rather than known from an earlier run.
    """

    embeddings: Embeddings
    shapes: tuple[Shape | None, ...]
    refused: tuple[str, ...] = ()
    passed_over: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    read: int = 0

    def __len__(self) -> int:
        return len(self.shapes)


def read_files(
    files: Sequence[ShapeFile],
    model: "PointModel",
    about: About,
    store: Store,
    advance: Callable[[], None],
) -> Collection:
    """Read, measure and embed files, those that the store knows from it; several processes read.

    Args:
        files: meshes and clouds.
        model: the model that gives the vectors.
        about: the number of points drawn of each, the axis that is up, and the averaging.
        store: the shapes that were read before; those read now are added to it.
        advance: a function to call after each file.

    Raises:
        UserError: none can be used.
    """
    kept: dict[int, Kept] = {}
    refused: dict[int, str] = {}
    unknown: list[int] = []
    waiting: list[tuple[int, Shape]] = []
    may_know = store.has_shapes  # else no file is read for its digest alone
    for place, file in enumerate(files):
        known = _known(file.path, about, store) if may_know else None
        if known is None:
            unknown.append(place)
            continue
        kept[place] = known
        advance()

    def clouds() -> Iterator[NDArray[np.float32]]:
        paths = [files[place].path for place in unknown]
        measured = read_each(prepare_measuring, [about.up, about.points, False], paths)
        for place, found in zip(unknown, measured, strict=True):
            if isinstance(found, UserError):
                refused[place] = str(found)
            else:
                values, arrays = found
                waiting.append((place, shape_of(values, arrays["points"])))
                yield arrays["cloud"]
            advance()

    for row, found in embed_clouds(model, clouds(), about.average_over):
        place, shape = waiting[row]
        if isinstance(found, str):
            refused[place] = f"{files[place].path}: {found}"
            continue
        kept[place] = shape, found
        store.put(_key(shape.digest, files[place].path, about), shape, found)
    store.commit()
    return _collection(files, kept, refused, about, len(waiting))


def _collection(
    files: Sequence[ShapeFile],
    kept: Mapping[int, Kept],
    refused: Mapping[int, str],
    about: About,
    read: int,
) -> Collection:
    if not kept:
        first = refused[min(refused)]
        others = f" ({len(files) - 1:,} more were refused)" if len(files) > 1 else ""
        raise UserError(f"no shape can be used: {first}{others}")
    places = sorted(kept)
    embeddings = Embeddings(
        tuple(files[place].id for place in places),
        np.stack([kept[place][1] for place in places]),
        tuple(str(files[place].path) for place in places),
        about,
    )
    shapes = tuple(kept[place][0] for place in places)
    sentences = tuple(refused[place] for place in sorted(refused))
    return Collection(embeddings, shapes, sentences, read=read)


def read_index(index: Embeddings, store: Store, advance: Callable[[], None]) -> Collection:
    """Measure the shapes of an index, whose vectors are taken as they are.

    A shape whose file is gone, or was none, keeps its vector and has no measures.
    """
    shapes: list[Shape | None] = [None] * len(index)
    refused: list[str] = []
    unknown: list[int] = []
    for row, source in enumerate(index.sources):
        known = _known(Path(source), index.about, store, measured_only=True) if source else None
        if source and known is None:
            unknown.append(row)
            continue
        shapes[row] = None if known is None else known[0]
        advance()
    paths = [Path(index.sources[row]) for row in unknown]
    # Points that are NaN were allowed, or refused, when the shapes were embedded.
    measured = read_each(prepare_measuring, [index.about.up, None, True], paths)
    read = 0
    for row, path, found in zip(unknown, paths, measured, strict=True):
        if isinstance(found, UserError):
            refused.append(f"{found} (its vector is used, and it has no picture)")
        else:
            read += 1
            shape = shapes[row] = shape_of(found[0], found[1]["points"])
            key = _key(shape.digest, path, index.about, measured_only=True)
            store.put(key, shape, np.empty(0, np.float32))
        advance()
    store.commit()
    return Collection(index, tuple(shapes), tuple(refused), read=read)


def _known(path: Path, about: About, store: Store, *, measured_only: bool = False) -> Kept | None:
    try:
        with path.open("rb") as file:
            own = hashlib.file_digest(file, "sha256").digest()
    except OSError:  # which reading the shape tells
        return None
    return store.get(_key(digest_of(path, own), path, about, measured_only=measured_only))


def _key(digest: str, path: Path, about: About, *, measured_only: bool = False) -> str:
    settings: dict[str, Any] = {"up": up_of_file(path, about.up), "suffix": path.suffix.lower()}
    if not measured_only:
        settings |= {
            "model": about.model_sha256,
            "points": about.points,
            "average_over": about.average_over,
        }
    return key_of(digest, settings)
