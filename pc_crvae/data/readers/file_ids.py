"""What shapes and pictures of files are called, in a set of a folder and by ``embed`` alike."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath


def ids_of(paths: Sequence[str]) -> list[str]:
    """Return the ids of files: their paths without suffix.

    Files that differ by their suffix alone keep it.

    Args:
        paths: different ones, with ``/`` between folders.

    Returns:
        As many different names.
    """
    stems = [path[: len(path) - len(PurePosixPath(path).suffix)] for path in paths]
    count = Counter(stems)
    ids = [path if count[stem] > 1 else stem for path, stem in zip(paths, stems, strict=True)]
    # Whole paths can meet the stem of another one: x.off and x.obj beside x.off.obj.
    return ids if len(set(ids)) == len(ids) else list(paths)
