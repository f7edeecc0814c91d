"""What a store keeps of one file: its state, its measures, its vector, or why it was refused."""

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pc_crvae.collection.shapes import KEPT_POINTS, Shape, digest_of, shape_of, values_of
from pc_crvae.collection.store import key_of, state_of
from pc_crvae.data.cache.kept import Kept
from pc_crvae.data.facing import up_of_file
from pc_crvae.embedding.index import About
from pc_crvae.utils.files import sha256_of


class FileRows:
    """The rows of a file, whose state is taken once.

    By its state a file's content is known without reading it. By its content a file is known
    wherever it was moved to.

    Args:
        store: the store.
        path: the file.
        about: the model and the settings that embed it.
        drop_nan: whether points of clouds that are NaN or infinite are left out.
    """

    def __init__(self, store: Kept, path: Path, about: About, *, drop_nan: bool) -> None:
        self._store = store
        self._path = path
        self._state = state_of(path)
        self._reading = {
            "up": up_of_file(path, about.up),
            "suffix": path.suffix.lower(),
            "drop_nan": drop_nan,
            "kept_points": KEPT_POINTS,
        }
        self._embedding = self._reading | {
            "model": about.model_sha256,
            "points": about.points,
            "average_over": about.average_over,
        }

    @property
    def refusal(self) -> str | None:
        """Why it could not be used; None where that is not known."""
        found = self._store.get(key_of(self._state, self._embedding))
        return None if found is None else str(found[0]["refused"])

    @property
    def shape(self) -> Shape | None:
        """Its measures; None where they are not known."""
        found = self._store.get(key_of(self._digest, self._reading))
        return None if found is None else shape_of(found[0], found[1]["points"])

    @property
    def vector(self) -> NDArray[np.float32] | None:
        """Its vector (d,); None where it is not known."""
        found = self._store.get(key_of(self._digest, self._embedding))
        return None if found is None else found[1]["vector"]

    def refuse(self, reason: str) -> None:
        """Keep why it cannot be used."""
        self._store.put(key_of(self._state, self._embedding), ({"refused": reason}, {}))

    def keep(self, shape: Shape, vector: NDArray[np.float32] | None = None) -> None:
        """Keep its measures, and its vector (d,) if there is one."""
        self._store.put(key_of(self._state, self._reading), ({"digest": shape.digest}, {}))
        points = {"points": shape.points}
        self._store.put(key_of(shape.digest, self._reading), (values_of(shape), points))
        if vector is not None:
            self._store.put(key_of(shape.digest, self._embedding), ({}, {"vector": vector}))

    @cached_property
    def _digest(self) -> str:
        """Of its content; empty where nothing is known of that."""
        key = key_of(self._state, self._reading)
        found = self._store.get(key)
        if found is not None:
            return str(found[0]["digest"])
        if self._store.is_empty:  # so that no file is read for its digest alone
            return ""
        try:
            digest = digest_of(self._path, bytes.fromhex(sha256_of(self._path)))
        except OSError:  # which reading the shape tells
            return ""
        self._store.put(key, ({"digest": digest}, {}))
        return digest
