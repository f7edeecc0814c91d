"""Many files of shapes, read by processes that may be killed, in the order of the files."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.readers.shape_files import load_shape
from pc_crvae.errors import MissingPackageError, UserError
from pc_crvae.utils.workers import Answer, Lost, answers, pack, processors, unpack

MOST_SECONDS = 600.0
"""That a file may take to be read."""

FEW = 8
"""Files up to which none is worth the start of another process: they are read in this one."""

_FILES_A_WORKER = 16
"""Files that make another worker worth its start."""

Found = tuple[dict[str, Any], dict[str, NDArray[Any]]]
"""What was read of a file: plain values and arrays."""

Read = Callable[[Path], Found]
"""Reads a file; raises `UserError` where it cannot be used."""

PrepareRead = Callable[[Any], Read]
"""A function of a module's top level that gives what reads, by plain values."""


def read_each(
    prepare: PrepareRead,
    setup: Any,
    paths: Sequence[Path],
    *,
    workers: int | None = None,
    most_seconds: float = MOST_SECONDS,
) -> Iterator[Found | UserError]:
    """Read files by several processes, a few ahead of what is taken.

    A file that ends the process that reads it, or takes too long, is refused as others are.

    Args:
        prepare: the function that gives what reads a file.
        setup: the argument of ``prepare``, plain values.
        paths: the files.
        workers: the number of processes; None: as many as there are processors, and none for up
            to `FEW` files, which are read here.
        most_seconds: that a file may take.

    Yields:
        What each file gave, or why it cannot be used, in the order of the files.
    """
    if workers is None:
        workers = min(processors(), -(-len(paths) // _FILES_A_WORKER))
        if len(paths) <= FEW:
            yield from _read_here(prepare(setup), paths)
            return
    how = [prepare.__module__, prepare.__qualname__, setup]
    names = [str(path) for path in paths]
    found = answers(prepare_packed, how, names, workers, most_seconds=most_seconds)
    with closing(found):
        for place, answer in found:
            yield UserError(answer.why(names[place])) if isinstance(answer, Lost) else _told(answer)


def _read_here(read: Read, paths: Sequence[Path]) -> Iterator[Found | UserError]:
    for path in paths:
        try:
            found: Found | UserError = read(path)
        except UserError as error:
            found = error
        yield found


def prepare_packed(setup: Any) -> Answer:
    """Return what reads the file of a task, in a worker."""
    module, name, inner = setup
    prepare: PrepareRead = getattr(import_module(module), name)
    read = prepare(inner)

    def answer(path: str) -> bytes:
        try:
            values, arrays = read(Path(path))
        except UserError as error:
            is_package = isinstance(error, MissingPackageError)
            return pack({"refused": str(error), "package": is_package}, {})
        return pack({"values": values}, arrays)

    return answer


def _told(answer: bytes) -> Found | UserError:
    content, arrays = unpack(answer)
    if "refused" in content:
        kind = MissingPackageError if content["package"] else UserError
        return kind(content["refused"])
    return content["values"], arrays


def prepare_clouds(setup: Any) -> Read:
    """Return what draws the points of a file, as :func:`load_shape` does.

    The values it gives are how many points of a cloud were left out, where any were.

    Args:
        setup: the count of points, the axis that is up, and whether points that are NaN or
            infinite are left out.
    """
    count, up, drop_nan = setup

    def read(path: Path) -> Found:
        left_out: list[int] = []
        cloud = load_shape(path, count, up, unmeasured=left_out.append if drop_nan else None)
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
        unmeasured: as of :func:`load_shape`.
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
