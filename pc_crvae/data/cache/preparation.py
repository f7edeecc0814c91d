"""Sets of many files, a shape each, made into one entry of the store.

The work is done by several processes, can be stopped at any time, and goes on where it stopped:
every shape that is done is written to a journal beside the entry. Where the split was prepared
before, only the files that are new to it or changed since are read. The result depends on the files
and the :class:`Recipe` alone. A file that cannot be used is refused by name, told in a report, and
makes the set refuse to load unless the caller says that it may be short.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from rich.console import Console

from pc_crvae.data.cache.journal import Journal, ShapeRecord
from pc_crvae.data.cache.store import (
    FORMAT,
    Blocks,
    Entry,
    as_item_set,
    entry_path,
    read_entry,
    stamp,
    whole,
    write_entry,
)
from pc_crvae.data.cache.workers import LoadPoints, Recipe, Task, draw_shapes
from pc_crvae.data.clouds import CloudSet
from pc_crvae.data.items import Item
from pc_crvae.errors import UserError
from pc_crvae.utils.files import atomic_path
from pc_crvae.utils.progress import items_bar

__all__ = ["Prepared", "Recipe", "Refusal", "RefusedFilesError", "Shapes", "prepare"]


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """What is to be prepared: a split of a set that keeps each shape in a file of its own.

    Attributes:
        name: of the data set.
        split: of the data set.
        items: its shapes, in the order they are to have; ids unique.
        classes: the class names.
        load_points: reads one file; of a module's top level, so that workers can import it.
        passed_over: files that are no items, by the reason; the report counts them.
    """

    name: str
    split: str
    items: Sequence[Item]
    classes: tuple[str, ...]
    load_points: LoadPoints
    passed_over: Mapping[str, Sequence[Path]]


@dataclass(frozen=True)
class Refusal:
    """A file that could not be used.

    Attributes:
        id: of the shape.
        source: the file.
        reason: the sentence that says why.
    """

    id: str
    source: str
    reason: str


class RefusedFilesError(UserError):
    """Files of a split that cannot be used, told together with what to do.

    Args:
        found: which, as the start of a sentence.
        some_are_left: whether the set can do without them.
    """

    def __init__(self, found: str, *, some_are_left: bool) -> None:
        self.found = found
        self.some_are_left = some_are_left
        without = (
            ", or do without them by data.allow_refused=true (--allow-refused of the command "
            "data, allow_refused=True in Python)"
            if some_are_left
            else ""
        )
        super().__init__(f"{found}: mend or remove them{without}")

    @classmethod
    def together(cls, refused: Sequence["RefusedFilesError"]) -> "RefusedFilesError":
        """Tell several in one sentence."""
        return cls(
            "; ".join(one.found for one in refused),
            some_are_left=all(one.some_are_left for one in refused),
        )


@dataclass(frozen=True, eq=False)
class Prepared:
    """A prepared split.

    Attributes:
        clouds: the shapes that could be used, mapped from the entry, with normals where the
            recipe says so.
        sources: (n,) the files.
        centres: (n, 3) what was subtracted from the points, z up, in the unit of the file.
        scales: (n,) what they were then divided by.
        refused: the files that could not be used.
        repairs: by the name of what was mended, in how many files and how often altogether.
        entry: the file that holds all this.
        report: the JSON file that tells of refusals and repairs.
    """

    clouds: CloudSet
    sources: tuple[str, ...]
    centres: NDArray[np.float64]
    scales: NDArray[np.float64]
    refused: tuple[Refusal, ...]
    repairs: dict[str, tuple[int, int]]
    entry: Path
    report: Path

    def checked(self, *, allow_refused: bool = False) -> CloudSet:
        """Return the clouds.

        Args:
            allow_refused: they may be fewer than the files.

        Raises:
            RefusedFilesError: files were refused and that is not allowed, or none could be used.
        """
        if self.refused and not (allow_refused and len(self.clouds)):
            first, total = self.refused[0], len(self.refused) + len(self.clouds)
            raise RefusedFilesError(
                f"{len(self.refused)} of the {total} files of {self.clouds.name}, split "
                f"{self.clouds.split}, cannot be used, the first as {first.reason} (all are in "
                f"{self.report})",
                some_are_left=len(self.clouds) > 0,
            )
        return self.clouds

    def summary(self) -> str:
        """What was prepared, refused and mended, in a few lines."""
        head = f"{self.clouds.name}, split {self.clouds.split}"
        lines = [f"{head}: {len(self.clouds)} shapes prepared, {len(self.refused)} files refused"]
        lines += [f"  refused: {refusal.reason}" for refusal in self.refused[:_TOLD]]
        if len(self.refused) > _TOLD:
            lines.append(f"  and {len(self.refused) - _TOLD} more")
        lines += [
            f"  mended: {count} {name} in {files} files"
            for name, (files, count) in self.repairs.items()
        ]
        return "\n".join([*lines, f"  report: {self.report}"])


_TOLD = 10
"""Refusals that the summary names; the report names all."""


def prepare(
    shapes: Shapes,
    recipe: Recipe,
    place: Mapping[str, Any],
    *,
    workers: int | None = None,
    console: Console | None = None,
) -> Prepared:
    """Return a split from its entry, made before if need be.

    Where two processes prepare the same, the second waits for the first.

    Args:
        shapes: the split.
        recipe: how points are drawn.
        place: plain values that give the entry a place of its own, beside name, split and recipe:
            the folder and the version of the reader, for example.
        workers: processes to draw with; the processors that this process may use by default.
        console: where progress and the summary are shown; standard error by default.

    Raises:
        UserError: the entry cannot be written.
        KeyboardInterrupt: the user asked to stop; it says what is done.
    """
    console = Console(stderr=True, highlight=False) if console is None else console
    try:
        entry = entry_path(shapes.name, shapes.split, {**place, "recipe": asdict(recipe)})
    except RuntimeError as error:
        raise UserError(
            f"there is no place to keep what is prepared ({error}): name one with $PC_CRVAE_CACHE"
        ) from error
    tasks = [_task(item) for item in shapes.items]
    state = _state(shapes, tasks)
    kept = _open(entry, shapes, state)
    if kept is not None:
        return kept
    with _alone(entry, console):
        kept = _open(entry, shapes, state)
        if kept is not None:
            return kept
        _make(entry, shapes, recipe, tasks, state, workers or _processors(), console)
    kept = _open(entry, shapes, state)
    if kept is None:
        raise UserError(f"{entry} was changed or removed while it was made: prepare it again")
    console.print(kept.summary(), markup=False, soft_wrap=True)
    return kept


def _task(item: Item) -> Task:
    path = str(item.path.absolute())
    state = json.dumps([item.id, path, stamp(item.path)])
    return Task(hashlib.sha256(state.encode()).hexdigest(), path, item.id)


def _state(shapes: Shapes, tasks: Sequence[Task]) -> str:
    """A hash of what the entry is to be made from."""
    parts = [
        shapes.classes,
        [[task.key, item.label] for task, item in zip(tasks, shapes.items, strict=True)],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _open(entry: Path, shapes: Shapes, state: str) -> Prepared | None:
    """Return what ``entry`` holds; None where it is missing, damaged or of another state."""
    found = read_entry(entry)
    try:
        if found is None or found.content["state"] != state:
            return None
        return _prepared(entry, found, shapes)
    except (ValueError, KeyError, TypeError):
        return None


def _prepared(entry: Path, found: Entry, shapes: Shapes) -> Prepared:
    clouds = as_item_set(found, shapes.name, shapes.split)
    if not isinstance(clouds, CloudSet):
        raise TypeError("an entry of shapes should hold points")
    content = found.content
    return Prepared(
        clouds=clouds,
        sources=tuple(content["shape_sources"]),
        centres=found.arrays["centres"],
        scales=found.arrays["scales"],
        refused=tuple(Refusal(**refusal) for refusal in content["refused"]),
        repairs={name: (files, count) for name, (files, count) in content["repairs"].items()},
        entry=entry,
        report=_report_path(entry),
    )


def _report_path(entry: Path) -> Path:
    return entry.with_suffix(".report.json")


@contextmanager
def _alone(entry: Path, console: Console) -> Iterator[None]:
    """Hold the lock of an entry, which the system takes back from a process that dies."""
    lock = FileLock(entry.with_suffix(".lock"))
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            console.print(f"another process prepares {entry.stem}: waiting for it", markup=False)
            lock.acquire()
    except (OSError, NotImplementedError) as error:  # the latter where there are no file locks
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"could not write into {entry.parent}: {reason}; name another folder "
            "with $PC_CRVAE_CACHE"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _make(
    entry: Path,
    shapes: Shapes,
    recipe: Recipe,
    tasks: Sequence[Task],
    state: str,
    workers: int,
    console: Console,
) -> None:
    journal = Journal(entry.with_suffix(".partial"), f"{FORMAT} {asdict(recipe)}")
    try:
        _carry_over(entry, journal, tasks)
        _fill(journal, shapes, recipe, tasks, workers, console)
        _finish(entry, journal, shapes, recipe, tasks, state)
    except BaseException:
        journal.close()
        raise
    journal.remove()


def _carry_over(entry: Path, journal: Journal, tasks: Sequence[Task]) -> None:
    """Copy what an older state of the entry holds of the files that are still as they were.

    Refused files are not among it: they are tried again.
    """
    found = read_entry(entry)
    if found is None:
        return
    wanted = {task.key for task in tasks if task.key not in journal}
    arrays = [found.arrays[name] for name in ("points", "normals") if name in found.arrays]
    for row, (key, repairs) in enumerate(found.content["shapes"]):
        if key in wanted:
            x, y, z = found.arrays["centres"][row].tolist()
            scale = float(found.arrays["scales"][row])
            drawn = np.stack([array[row] for array in arrays])
            journal.append(ShapeRecord(key, None, repairs, (x, y, z), scale, drawn))


def _fill(
    journal: Journal,
    shapes: Shapes,
    recipe: Recipe,
    tasks: Sequence[Task],
    workers: int,
    console: Console,
) -> None:
    left = [task for task in tasks if task.key not in journal]
    done = len(tasks) - len(left)
    progress = items_bar(console)
    what = f"preparing {shapes.name}, split {shapes.split}"
    if not console.is_terminal:
        again = f", {done} of them done before" if done else ""
        console.print(f"{what}: {len(tasks)} files{again}", markup=False, soft_wrap=True)
    bar = progress.add_task(what, total=len(tasks), completed=done)
    records = draw_shapes(left, shapes.load_points, recipe, workers)
    try:
        with progress:
            for record in records:
                journal.append(record)
                done += 1
                progress.update(bar, completed=done)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"stopped with {done} of the {len(tasks)} files of {shapes.name} done: the same "
            "command goes on from there"
        ) from None
    finally:
        records.close()


def _finish(
    entry: Path,
    journal: Journal,
    shapes: Shapes,
    recipe: Recipe,
    tasks: Sequence[Task],
    state: str,
) -> None:
    refused, rows, centres, scales = [], [], [], []
    made: list[tuple[str, dict[str, int]]] = []
    files: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for row, task in enumerate(tasks):
        record = journal.read(task.key)
        if record.refused is not None:
            refused.append(Refusal(task.id, task.path, record.refused))
            continue
        rows.append(row)
        centres.append(record.centre)
        scales.append(record.scale)
        made.append((task.key, record.repairs))
        counts.update(record.repairs)
        files.update(name for name, count in record.repairs.items() if count)
    repairs = {name: (files[name], counts[name]) for name in sorted(files)}
    form = (len(rows), recipe.points, 3), np.dtype(np.float32)
    arrays: dict[str, Blocks] = {
        "points": (*form, (journal.read(tasks[row].key).arrays[0] for row in rows))
    }
    labels = [shapes.items[row].label for row in rows]
    if None not in labels and labels:
        arrays["labels"] = whole(np.array(labels, dtype=np.int64))
    arrays["centres"] = whole(np.array(centres, dtype=np.float64).reshape(-1, 3))
    arrays["scales"] = whole(np.array(scales, dtype=np.float64))
    if recipe.normals:
        arrays["normals"] = (*form, (journal.read(tasks[row].key).arrays[1] for row in rows))
    content = {
        "state": state,
        "classes": list(shapes.classes),
        "ids": [tasks[row].id for row in rows],
        "shape_sources": [tasks[row].path for row in rows],
        "refused": [asdict(refusal) for refusal in refused],
        "repairs": repairs,
        "shapes": made,
    }
    report = {
        "name": shapes.name,
        "split": shapes.split,
        "recipe": asdict(recipe),
        "prepared": len(rows),
        "refused": content["refused"],
        "repairs": {
            name: {"files": files, "count": count} for name, (files, count) in repairs.items()
        },
        "passed_over": {
            reason: [str(path) for path in paths] for reason, paths in shapes.passed_over.items()
        },
        "entry": str(entry),
    }
    with atomic_path(_report_path(entry)) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    # As old as the newest source, so that the same sources make the same bytes.
    changes = [stamped[1] for item in shapes.items if (stamped := stamp(item.path)) is not None]
    write_entry(entry, arrays, content, max(changes, default=0))
