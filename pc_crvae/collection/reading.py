"""Every shape of a folder read once, measured and embedded; no mesh is held."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pc_crvae.collection.file_rows import FileRows
from pc_crvae.collection.shapes import KEPT_POINTS, Shape, prepare_measuring, shape_of
from pc_crvae.data.cache.kept import Kept
from pc_crvae.data.readers.shape_files import ShapeFile
from pc_crvae.data.readers.shape_workers import read_each
from pc_crvae.embedding.index import About, Embeddings
from pc_crvae.embedding.shapes import embed_loaded, gathered
from pc_crvae.errors import MissingPackageError, PassingError, UserError

if TYPE_CHECKING:
    from pc_crvae.models.points.model import PointModel


@dataclass(frozen=True, eq=False)
class Collection:
    """Shapes and their vectors, in the order of their paths.

    Attributes:
        embeddings: the vectors under their ids, with the files that they came from.
        shapes: (n,) the measures; None where the file of an index is gone or was none, and where
            vectors alone were asked for.
        refused: a sentence for each file that could not be used.
        passed_over: files that were found and not read, by the reason.
        read: files that were read, rather than known from an earlier run.
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
    store: Kept,
    advance: Callable[[], None] = lambda: None,
    *,
    measured: bool = True,
    unmeasured: Callable[[int], None] | None = None,
) -> Collection:
    """Read, measure and embed files, those that the store knows from it; several processes read.

    What cannot be read because a package is missing is tried again the next time.

    Args:
        files: meshes and clouds.
        model: the model that gives the vectors.
        about: the number of points drawn of each, the axis that is up, and the averaging.
        store: what was read before; what is read now is added to it.
        advance: a function to call after each file.
        measured: whether the measures are wanted too; they are kept in any case.
        unmeasured: passed to :func:`~pc_crvae.data.readers.shape_files.load_shape`.

    Raises:
        UserError: none can be used.
        KeyboardInterrupt: the user asked to stop; it says what is done.
    """
    drop_nan = unmeasured is not None
    rows = [FileRows(store, file.path, about, drop_nan=drop_nan) for file in files]
    # In one block each. By itself each array would lie between the large ones that an encoder needs
    # for a while, whose memory could then neither be used as a whole again nor be given back.
    vectors = np.empty((len(files), model.vector_size), np.float32)
    points = np.empty((len(files) if measured else 0, KEPT_POINTS, 3), np.float32)
    shapes: dict[int, Shape | None] = {}
    refused: dict[int, str] = {}
    unknown: list[int] = []
    waiting: dict[int, Shape] = {}

    def loaded() -> Iterator[NDArray[np.float32] | UserError]:
        paths = [files[place].path for place in unknown]
        setup = [about.up, about.points, drop_nan]
        for place, found in zip(unknown, read_each(prepare_measuring, setup, paths), strict=True):
            if isinstance(found, UserError):
                yield found
                continue
            values, arrays = found
            if unmeasured is not None:
                for left_out in values["left_out"]:
                    unmeasured(left_out)
            waiting[place] = shape_of(values["shape"], arrays["points"])
            yield arrays["cloud"]

    try:
        for place, known in enumerate(rows):
            reason = known.refusal
            vector = known.vector if reason is None else None
            shape = known.shape if measured and vector is not None else None
            if reason is not None:
                refused[place] = reason
            elif vector is not None and (shape is not None or not measured):
                vectors[place] = vector
                shapes[place] = None if shape is None else _moved(shape, points[place])
            else:
                unknown.append(place)
                continue
            advance()
        new = [files[place] for place in unknown]
        for row, embedded in embed_loaded(model, new, loaded(), about, advance):
            place = unknown[row]
            if not isinstance(embedded, UserError):
                shape = waiting.pop(place)
                rows[place].keep(shape, embedded)
                vectors[place] = embedded
                shapes[place] = _moved(shape, points[place]) if measured else None
                continue
            refused[place] = str(embedded)
            passes = isinstance(embedded, MissingPackageError | PassingError)
            if not passes and os.access(files[place].path, os.R_OK):
                rows[place].refuse(str(embedded))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"stopped with {len(shapes) + len(refused)} of the {len(files)} files embedded: the "
            "same command goes on from there"
        ) from None
    sentences = tuple(refused[place] for place in sorted(refused))
    if not shapes:
        others = f" ({len(files) - 1:,} more were refused)" if len(files) > 1 else ""
        raise UserError(f"no shape can be used: {sentences[0]}{others}")
    embeddings = gathered(files, {place: vectors[place] for place in shapes}, about)
    measures = tuple(shapes[place] for place in sorted(shapes))
    return Collection(embeddings, measures, sentences, read=len(unknown))


def _moved(shape: Shape, points: NDArray[np.float32]) -> Shape:
    """The shape with its points copied to others; a small cloud, of fewer points, keeps its own."""
    if len(shape.points) < KEPT_POINTS:
        return shape
    points[:] = shape.points
    return replace(shape, points=points)


def read_index(index: Embeddings, store: Kept, advance: Callable[[], None]) -> Collection:
    """Measure the shapes of an index, whose vectors are taken as they are.

    A shape whose file is gone, or was none, keeps its vector and has no measures.
    """
    # Points that are NaN were allowed, or refused, when the shapes were embedded.
    shapes: list[Shape | None] = [None] * len(index)
    refused: list[str] = []
    unknown: dict[int, FileRows] = {}
    for row, source in enumerate(index.sources):
        known = FileRows(store, Path(source), index.about, drop_nan=True) if source else None
        if known is not None:
            shapes[row] = known.shape
        if known is not None and shapes[row] is None:
            unknown[row] = known
        else:
            advance()
    paths = [Path(index.sources[row]) for row in unknown]
    measured = read_each(prepare_measuring, [index.about.up, None, True], paths)
    for (row, known), found in zip(unknown.items(), measured, strict=True):
        if isinstance(found, UserError):
            refused.append(f"{found} (its vector is used, and it has no picture)")
        else:
            shape = shapes[row] = shape_of(found[0]["shape"], found[1]["points"])
            known.keep(shape)
        advance()
    return Collection(index, tuple(shapes), tuple(refused), read=len(unknown) - len(refused))
