"""Vectors in Parquet: the columns ``id``, ``vector`` and ``source``, and texts as metadata.

Each text has its SHA-256 beside it, under its own name and ``_sha256``; pages have checksums.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pc_crvae.errors import UserError
from pc_crvae.utils.files import atomic_path

_COLUMNS = ["id", "vector", "source"]
_DIGEST = "_sha256"


class Rows(NamedTuple):
    """Vectors (n, d) float32 with their ids and sources, of which there may be none."""

    ids: list[str]
    vectors: NDArray[np.float32]
    sources: list[str]


def require_pyarrow(path: Path) -> Any:
    """Return pyarrow.

    Raises:
        UserError: it is not installed, which ``path`` needs.
    """
    try:
        import_module("pyarrow.parquet")
        return import_module("pyarrow")
    except ImportError as error:
        raise UserError(
            f'{path} needs pyarrow: install it by pip install "pc-crvae[parquet]"'
        ) from error


def write_parquet(path: Path, parts: Iterable[Rows], size: int, texts: Mapping[str, str]) -> None:
    """Write rows, one part after another, whole or not at all.

    Args:
        path: the file.
        parts: the rows, taken one by one.
        size: the numbers d of a vector.
        texts: the metadata.

    Raises:
        UserError: pyarrow is missing, or the file cannot be written.
    """
    pyarrow = require_pyarrow(path)
    metadata: dict[str, str] = {}
    for name, text in texts.items():
        metadata |= {name: text, name + _DIGEST: hashlib.sha256(text.encode()).hexdigest()}
    schema = pyarrow.schema(
        [
            ("id", pyarrow.string()),
            ("vector", pyarrow.list_(pyarrow.float32(), size)),
            ("source", pyarrow.string()),
        ],
        metadata,
    )
    with (
        atomic_path(path) as temporary,
        pyarrow.parquet.ParquetWriter(temporary, schema, write_page_checksum=True) as writer,
    ):
        for rows in parts:
            flat = pyarrow.array(rows.vectors.reshape(-1), pyarrow.float32())
            columns = [
                pyarrow.array(rows.ids, pyarrow.string()),
                pyarrow.FixedSizeListArray.from_arrays(flat, size),
                pyarrow.array(rows.sources, pyarrow.string()),
            ]
            writer.write_table(pyarrow.table(columns, schema=schema))


def read_parquet(path: Path, names: Sequence[str]) -> tuple[Rows, dict[str, str]]:
    """Return what a file holds, its checksums met, and the texts of these names.

    Files of 0.1 have no checksums, and are read as they are.

    Raises:
        UserError: the file is damaged or of another kind, or pyarrow is missing.
    """
    pyarrow = require_pyarrow(path)
    try:
        table = pyarrow.parquet.read_table(path, columns=_COLUMNS, page_checksum_verification=True)
        texts = _texts(table.schema.metadata or {}, names)
        ids, sources = table["id"].to_pylist(), table["source"].to_pylist()
        vectors = table["vector"].combine_chunks()
        if vectors.type.value_type != pyarrow.float32():
            raise ValueError(f"its vectors are of {vectors.type}")
        values = np.asarray(vectors.flatten(), dtype=np.float32)
        rows = Rows(ids, values.reshape(len(ids), -1 if ids else vectors.type.list_size), sources)
    except (pyarrow.ArrowException, OSError, KeyError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is damaged or holds no embeddings: make it anew") from error
    if not all(isinstance(text, str) for text in (*ids, *sources)):
        raise UserError(f"{path} is damaged: an id or a source is missing")
    return rows, texts


def read_texts(path: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the texts of a file without its rows; raises as :func:`read_parquet`."""
    pyarrow = require_pyarrow(path)
    try:
        return _texts(pyarrow.parquet.read_schema(path).metadata or {}, names)
    except (pyarrow.ArrowException, OSError, KeyError, ValueError) as error:
        raise UserError(f"{path} is damaged or holds no embeddings: make it anew") from error


def _texts(metadata: Mapping[bytes, bytes], names: Sequence[str]) -> dict[str, str]:
    texts = {}
    for name in names:
        raw = metadata[name.encode()]
        digest = hashlib.sha256(raw).hexdigest().encode()
        if metadata.get((name + _DIGEST).encode(), digest) != digest:
            raise ValueError(f"its {name} is not as it was written")
        texts[name] = raw.decode()
    return texts
