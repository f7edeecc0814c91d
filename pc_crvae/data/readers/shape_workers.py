"""Many files of shapes, read by processes that may be killed, in the order of the files."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.readers.shape_files import load_shape
from pc_crvae.errors import PassingError, UserError
from pc_crvae.utils.threads import usable_cores
from pc_crvae.utils.workers import Answer, Found, Lost, Prepare, answers

MOST_SECONDS = 600.0
"""That a file may take to be read."""

FEW = 8
"""Files up to which none is worth the start of another process: they are read in this one."""

_FILES_A_WORKER = 16
"""Files that make another worker worth its start."""


def read_each(
    prepare: Prepare,
    setup: Any,
    paths: Sequence[Path],
    *,
    workers: int | None = None,
) -> Iterator[Found | UserError]:
    """Read files by several processes, a few ahead of what is taken.

    A file that ends the process that reads it, or takes too long, is refused as others are.

    Args:
        prepare: the function that returns the reader of a file, which takes its path.
        setup: the argument of ``prepare``, plain values.
        paths: the files.
        workers: the number of processes; None: as many as there are processors, and none for up
            to `FEW` files, which are read here.

    Yields:
        What each file gave, or why it cannot be used, in the order of the files.
    """
    if workers is None:
        workers = min(usable_cores(), -(-len(paths) // _FILES_A_WORKER))
        if len(paths) <= FEW:
            yield from _read_here(prepare(setup), paths)
            return
    names = [str(path) for path in paths]
    with closing(answers(prepare, setup, names, workers, most_seconds=MOST_SECONDS)) as found:
        for place, answer in found:
            if isinstance(answer, Lost):
                kind = UserError if answer.signal is None else PassingError
                answer = kind(answer.why(names[place]))
            yield answer


def _read_here(read: Answer, paths: Sequence[Path]) -> Iterator[Found | UserError]:
    for path in paths:
        try:
            found: Found | UserError = read(str(path))
        except UserError as error:
            found = error
        yield found


def prepare_clouds(setup: Any) -> Answer:
    """Return what draws the points of a file, as :func:`load_shape` does.

    The values it gives are how many points of a cloud were left out, where any were.

    Args:
        setup: the count of points, the axis that is up, and whether points that are NaN or
            infinite are left out.
    """
    count, up, drop_nan = setup

    def read(path: str) -> Found:
        left_out: list[int] = []
        cloud = load_shape(Path(path), count, up, unmeasured=left_out.append if drop_nan else None)
        return {"left_out": left_out}, {"points": cloud}

    return read


def read_clouds(
    paths: Sequence[Path],
    count: int,
    up: str | None,
    unmeasured: Callable[[int], None] | None = None,
    *,
    workers: int | None = None,
) -> Iterator[NDArray[np.float32] | UserError]:
    """Load shapes as :func:`load_shape` does, by several processes.

    Args:
        paths: the files.
        count: points wanted of each.
        up: what is said of the axis that points up.
        unmeasured: the function that :func:`load_shape` takes.
        workers: the argument of :func:`read_each`.

    Yields:
        The points of each file, or why it cannot be used, in the order of the files.
    """
    drop_nan = unmeasured is not None
    for found in read_each(prepare_clouds, [count, up, drop_nan], paths, workers=workers):
        if isinstance(found, UserError):
            yield found
            continue
        values, arrays = found
        if unmeasured is not None:
            for left_out in values["left_out"]:
                unmeasured(left_out)
        yield arrays["points"]
