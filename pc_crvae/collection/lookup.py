"""A dropped file, embedded as the collection was, and the shapes that are nearest to it."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.collection.analysis import NEIGHBORS
from pc_crvae.collection.dropped import DroppedReader
from pc_crvae.collection.likeness import distances_of_pairs, shares_not_closer
from pc_crvae.collection.page import facts_of, levels_of
from pc_crvae.embedding.index import Embeddings, embed_clouds
from pc_crvae.embedding.shapes import nearest_hits, require_model_of
from pc_crvae.errors import UserError, printable
from pc_crvae.visualization.web_page import encoded

if TYPE_CHECKING:
    from pc_crvae.runs.saved import SavedModel


class Lookup:
    """What finds the nearest shapes of a collection; several threads may ask it at once.

    Args:
        embeddings: the vectors of the collection.
        saved: the model that made them.
        reader: what reads the files, as queries to the collection.

    Raises:
        UserError: another model made them.
    """

    def __init__(self, embeddings: Embeddings, saved: "SavedModel", reader: DroppedReader) -> None:
        require_model_of(embeddings, saved.weights_sha256, saved.folder)
        self._embeddings = embeddings
        self._model = saved.point_model
        self._reader = reader
        self._pairs = distances_of_pairs(embeddings.vectors)
        self._lock = threading.Lock()

    def nearest(self, path: Path, name: str) -> dict[str, Any]:
        """Find the shapes nearest to that of a file.

        Args:
            path: the file.
            name: the name that the file is called by.

        Returns:
            Values of JSON: the ``name``, the ``facts`` and ``points`` of the shape as the page has
            them of its own, and the ``nearest``: of each its row, id, path, cosine distance, and
            the share of the pairs of the collection that are not closer.

        Raises:
            UserError: the file cannot be used.
        """
        try:
            cloud, shape = self._reader.read(path)
        except UserError as error:
            raise UserError(str(error).replace(str(path), name)) from error
        hits = nearest_hits(self._embeddings, self._vector(cloud, name), NEIGHBORS)
        distances = np.array([hit.distance for hit in hits])
        shares = shares_not_closer(self._pairs, distances).tolist()
        return {
            "name": printable(name),
            "facts": facts_of(shape, name),
            "points": encoded(levels_of(shape)),
            "nearest": [
                {
                    "row": hit.row,
                    "id": printable(hit.id),
                    "path": printable(self._embeddings.sources[hit.row]),
                    "distance": hit.distance,
                    "share": share,
                }
                for hit, share in zip(hits, shares, strict=True)
            ],
        }

    def _vector(self, cloud: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        average_over = self._embeddings.about.average_over
        with self._lock:
            (_, found), *_ = embed_clouds(self._model, [cloud], average_over)
        if isinstance(found, str):
            raise UserError(f"{name}: {found}")
        return found
