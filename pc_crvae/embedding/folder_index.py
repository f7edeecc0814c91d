"""The index of a folder, kept beside the cache: only files that are new or changed are read again.

It is one file of vectors under the state of the files that they were made of. Vectors are written
to a journal as they come, so that an embedding that is stopped, or killed, goes on where it was.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.cache import store
from pc_crvae.data.cache.journal import Journal
from pc_crvae.data.formats.registry import files_read_with
from pc_crvae.data.readers.shape_files import ShapeFile
from pc_crvae.embedding.index import About, Embeddings
from pc_crvae.embedding.shapes import embed_files, gathered
from pc_crvae.errors import MissingPackageError, UserError
from pc_crvae.utils.files import atomic_path, read_npz
from pc_crvae.utils.workers import Found

if TYPE_CHECKING:
    from pc_crvae.models.points.model import PointModel

FORMAT_VERSION = 1
"""Of what is kept; that of another one is made anew."""

_ARRAYS = ("keys", "vectors", "refused", "reasons")


@dataclass(frozen=True, eq=False)
class FolderIndex:
    """The index of a folder as it is now.

    Attributes:
        embeddings: the shapes of its files that can be used.
        refused: the sentences why the others cannot.
        read: the number of files that were read for it; the others are as they were.
    """

    embeddings: Embeddings
    refused: tuple[str, ...]
    read: int


@dataclass(eq=False)
class _Known:
    """Vectors and refusals of files by their state."""

    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def __contains__(self, key: str) -> bool:
        return key in self.vectors or key in self.refused

    def add(self, key: str, found: Found) -> None:
        values, arrays = found
        if "rejected" in values:
            self.refused[key] = values["rejected"]
        else:
            self.vectors[key] = arrays["vector"]


def index_folder(
    model: "PointModel",
    folder: Path,
    files: Sequence[ShapeFile],
    about: About,
    *,
    unmeasured: Callable[[int], None] | None = None,
    start: Callable[[int], Callable[[], None]] = lambda count: lambda: None,
    tell: Callable[[str], None] = lambda text: None,
) -> FolderIndex:
    """Return the index of a folder, made or brought up to date.

    Where two processes want the same, the second waits for the first. What cannot be read because
    a package is missing is tried again the next time.

    Args:
        model: the model that gives the vectors.
        folder: the folder that is searched.
        files: its shapes, as :func:`~pc_crvae.data.readers.shape_files.find_shapes` finds them.
        about: the settings by which they are embedded.
        unmeasured: passed to :func:`~pc_crvae.data.readers.shape_files.load_shape`.
        start: takes the number of files to read, and gives what is called after each.
        tell: is told what is waited for, and what was damaged.

    Raises:
        NotKeptError: the cache folder cannot be written.
        UserError: no file can be used.
        KeyboardInterrupt: the user asked to stop; it says what is done.
    """
    place = _place(folder, about, drop_nan=unmeasured is not None)
    with store.alone(place.with_suffix(""), tell):
        keys = [_state(file.path) for file in files]
        known = _read(place, tell)
        journal = Journal(place.with_suffix(".partial"), _heading())
        try:
            for key in keys:
                if key not in known and key in journal:
                    known.add(key, journal.read(key))
            before = len(known.vectors) + len(known.refused)
            waiting = [row for row, key in enumerate(keys) if key not in known]
            lost = _embed(
                model, files, keys, waiting, about, unmeasured, start, journal, known, folder
            )
            if waiting or before != len(keys):
                _write(place, keys, known)
        except BaseException:
            journal.close()
            raise
        journal.remove()
    vectors = {row: known.vectors[key] for row, key in enumerate(keys) if key in known.vectors}
    refused = [known.refused[key] for key in keys if key in known.refused]
    return FolderIndex(gathered(files, vectors, about), (*refused, *lost), len(waiting))


def _embed(
    model: "PointModel",
    files: Sequence[ShapeFile],
    keys: Sequence[str],
    waiting: Sequence[int],
    about: About,
    unmeasured: Callable[[int], None] | None,
    start: Callable[[int], Callable[[], None]],
    journal: Journal,
    known: _Known,
    folder: Path,
) -> list[str]:
    """Embed the files that wait; return why some cannot be, for now."""
    lost = []
    done = 0
    left = [files[row] for row in waiting]
    try:
        for place, found in embed_files(
            model, left, about, start(len(left)), unmeasured=unmeasured
        ):
            done += 1
            key = keys[waiting[place]]
            if isinstance(found, MissingPackageError):
                lost.append(str(found))
                continue
            kept: Found = {}, {}
            if isinstance(found, UserError):
                kept[0]["rejected"] = str(found)
            else:
                kept[1]["vector"] = found
            journal.append(key, kept)
            known.add(key, kept)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"stopped with {len(files) - len(left) + done} of the {len(files)} files of {folder} "
            "embedded: the same command goes on from there"
        ) from None
    return lost


def _place(folder: Path, about: About, *, drop_nan: bool) -> Path:
    """Return the file that is kept of a folder, searched in one way."""
    wanted = json.dumps([str(folder.resolve()), about.model_dump(), drop_nan])
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:16]
    return store.cache_folder() / store.SEARCHED / f"{digest}.npz"


def _heading() -> str:
    return json.dumps([store.FORMAT, FORMAT_VERSION])


def _state(path: Path) -> str:
    """Return what changes when a file does, or another that is read with it."""
    others = [[str(other), store.stamp(other)] for other in files_read_with(path)]
    state = json.dumps([str(path), store.stamp(path), others])
    return hashlib.sha256(state.encode()).hexdigest()


def _read(place: Path, tell: Callable[[str], None]) -> _Known:
    known = _Known()
    if not place.exists():
        return known
    try:
        arrays = read_npz(place, ["heading", *_ARRAYS], most=place.stat().st_size)
        if str(arrays["heading"]) != _heading():
            return known
        keys, vectors = arrays["keys"].tolist(), arrays["vectors"]
        if vectors.dtype != np.float32 or vectors.ndim != 2 or len(keys) != len(vectors):
            raise UserError(f"{place} is damaged")
        known.vectors.update(zip((key.decode() for key in keys), vectors, strict=True))
        refused = (key.decode() for key in arrays["refused"].tolist())
        known.refused.update(zip(refused, arrays["reasons"].tolist(), strict=True))
    except ValueError as error:
        tell(f"what is kept of the folder is made anew: {error}")
        return _Known()
    return known


def _write(place: Path, keys: Sequence[str], known: _Known) -> None:
    """Keep what is known of the files that are there now."""
    found = [key for key in keys if key in known.vectors]
    refused = [key for key in keys if key in known.refused]
    size = len(known.vectors[found[0]]) if found else 0
    vectors = np.empty((len(found), size), dtype=np.float32)
    for row, key in enumerate(found):
        vectors[row] = known.vectors[key]
    with atomic_path(place) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            heading=np.array(_heading()),
            keys=np.array(found, dtype="S64"),
            vectors=vectors,
            refused=np.array(refused, dtype="S64"),
            reasons=np.array([known.refused[key] for key in refused], dtype=np.str_),
        )
