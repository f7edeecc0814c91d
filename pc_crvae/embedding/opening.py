"""An index opened to be searched: exactly, or where there are too many vectors, nearly so."""

from collections.abc import Callable
from pathlib import Path

from pc_crvae.embedding import approximate
from pc_crvae.embedding.index import Embeddings, check_suffix, load_embeddings
from pc_crvae.utils.counting import Counting, silent

EXACT_UP_TO = 200_000
"""Vectors that an exact search goes through in a fraction of a second, once they are read."""

Index = Embeddings | approximate.ApproximateIndex


def open_index(
    path: Path,
    *,
    exact: bool = False,
    tell: Callable[[str], None] = lambda text: None,
    progress: Counting = silent,
) -> Index:
    """Open a file of vectors to be searched.

    Of more than `EXACT_UP_TO` vectors, an approximate index is made the first time and kept beside
    the file, where usearch is installed.

    Args:
        path: the file that ``embed`` wrote.
        exact: whether all vectors are gone through, whatever their number.
        tell: is told how exact the answers are, where they are not, and what would be quicker.
        progress: given what is done and of how many, gives what is called after each.

    Raises:
        UserError: the file or its approximate index cannot be used, or the latter not be written.
    """
    check_suffix(path)
    if not exact and approximate.is_available() and path.is_file():
        known = approximate.open_approximate(path)
        if known is not None:
            tell(_how_exact(path, known))
            return known
    embeddings = load_embeddings(path)
    if exact or len(embeddings) <= EXACT_UP_TO:
        return embeddings
    if not approximate.is_available():
        tell(
            f"{path} holds {len(embeddings):,} vectors, and each search goes through all of them: "
            'pip install "pc-crvae[index]" brings an index that answers at once'
        )
        return embeddings
    with progress("indexing", len(embeddings)) as advance:
        made = approximate.make_approximate(path, embeddings, advance)
    tell(_how_exact(path, made))
    return made


def _how_exact(path: Path, index: approximate.ApproximateIndex) -> str:
    return (
        f"searched by {approximate.place_of(path)}, whose recall of the true ten nearest is "
        f"{index.recall:.1%} ({index.precision}); --exact goes through all {len(index):,} vectors"
    )
