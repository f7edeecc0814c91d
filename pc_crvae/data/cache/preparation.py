"""Sets of many files, a shape each, made into one entry of the store.

Several processes do the work, which can be stopped at any time and goes on where it stopped: every
shape that is done is written to a journal beside the entry. Where the split was prepared before,
only the files that are new to it or changed since are read. The result depends on the files and the
:class:`Recipe` alone. A file that cannot be used is rejected by name, told in a report, and makes
the set fail to load unless the caller says that it may be short.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from pc_crvae.data.cache.item_sets import as_item_set
from pc_crvae.data.cache.kept import Kept, open_kept
from pc_crvae.data.cache.sealed_files import Blocks
from pc_crvae.data.cache.store import REPORT, Draft, Entry, Key, newest_entry, obtain, stamp, whole
from pc_crvae.data.cache.workers import LoadPoints, Recipe, Task, draw_shapes
from pc_crvae.data.clouds import CloudSet
from pc_crvae.data.formats.other_kinds import tell_passed_over
from pc_crvae.data.formats.registry import files_read_with
from pc_crvae.data.items import Item, Listing
from pc_crvae.errors import UserError
from pc_crvae.utils.progress import items_bar
from pc_crvae.utils.templates import filled
from pc_crvae.utils.threads import usable_cores
from pc_crvae.utils.up_axes import Axis
from pc_crvae.utils.workers import Found

__all__ = ["Prepared", "Recipe", "RejectedFilesError", "Rejection", "Shapes", "prepare"]


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """What is to be prepared: a split of a set that keeps each shape in a file of its own.

    Attributes:
        name: the name of the data set.
        split: the split of the data set.
        listing: its shapes, in the order they are to have, ids unique; their class names; and
            files that are no shapes, by the reason, which the report counts.
        load_points: reads one file; of a module's top level, so that workers can import it.
        reader: the version of the reader that ``load_points`` belongs to.
        up_of: gives the axis that points up in a file; None for the recipe's in all.
    """

    name: str
    split: str
    listing: Listing
    load_points: LoadPoints
    reader: int
    up_of: Callable[[Path], Axis] | None = None


@dataclass(frozen=True)
class Rejection:
    """A file that could not be used.

    Attributes:
        id: the name of the shape.
        source: the file.
        reason: the sentence that says why.
    """

    id: str
    source: str
    reason: str


class RejectedFilesError(UserError):
    """Files of a split that cannot be used, told with what to do.

    Args:
        found: the files that were found, as the start of a sentence.
        some_are_left: whether the set can do without them.
    """

    def __init__(self, found: str, *, some_are_left: bool) -> None:
        self.some_are_left = some_are_left
        without = ", or set allow_refused to do without them" if some_are_left else ""
        super().__init__(f"{found}: repair or remove them{without}")


@dataclass(frozen=True, eq=False)
class Prepared:
    """A prepared split.

    Attributes:
        clouds: the shapes that could be used, mapped from the entry, with normals where the
            recipe says so.
        sources: (n,) the files.
        scales: (n,) what the centred points were divided by, in the unit of the file.
        rejected: the files that could not be used.
        repairs: the number of files and of repairs altogether, by the name of what was repaired.
        entry: the folder that holds all this.
    """

    clouds: CloudSet
    sources: tuple[str, ...]
    scales: NDArray[np.float64]
    rejected: tuple[Rejection, ...]
    repairs: dict[str, tuple[int, int]]
    entry: Path

    @property
    def report(self) -> Path:
        """The JSON file that tells of rejected files and repairs."""
        return self.entry / REPORT

    def checked(self, *, allow_refused: bool = False) -> CloudSet:
        """Return the clouds.

        Args:
            allow_refused: they may be fewer than the files.

        Raises:
            RejectedFilesError: files were rejected and that is not allowed, or none could be used.
        """
        if self.rejected and not (allow_refused and len(self.clouds)):
            first, total = self.rejected[0], len(self.rejected) + len(self.clouds)
            raise RejectedFilesError(
                f"{len(self.rejected)} of the {total} files of {self.clouds.name}, split "
                f"{self.clouds.split}, cannot be used, the first as {first.reason} (all are in "
                f"{self.report})",
                some_are_left=len(self.clouds) > 0,
            )
        return self.clouds

    def summary(self) -> str:
        """What was prepared, rejected and repaired, in a few lines."""
        return filled(__file__, "prepared.txt", **vars(self), report=self.report, told=_TOLD)


_TOLD = 10
"""Rejected files that the summary names; the report names all."""


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
        place: plain values that tell the entry from others of the same name, split and recipe: the
            folder, for example.
        workers: processes to draw with; the processors that this process may use by default.
        console: shows progress and the summary; standard error by default.

    Raises:
        UserError: the entry cannot be written.
        KeyboardInterrupt: the user asked to stop; it says what is done.
    """
    console = Console(stderr=True, highlight=False) if console is None else console
    tasks = [_task(item, shapes, recipe) for item in shapes.listing.items]
    labelled = [
        [task.key, item.label] for task, item in zip(tasks, shapes.listing.items, strict=True)
    ]
    wanted = {**place, "recipe": asdict(recipe)}
    key = Key(shapes.name, shapes.split, wanted, shapes.reader, [shapes.listing.classes, labelled])

    @contextmanager
    def draft() -> Iterator[Draft]:
        with open_kept(key.journal) as journal:
            _carry_over(key, journal, tasks)
            _fill(journal, shapes, recipe, tasks, workers or usable_cores(), console)
            yield _draft(key, journal, shapes, recipe, tasks)
        key.journal.unlink()  # it has served

    def tell(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    prepared, is_new = obtain(key, draft, lambda entry: _prepared(entry, shapes), tell)
    if is_new:
        tell("\n  ".join([prepared.summary(), *tell_passed_over(shapes.listing.passed_over)]))
    return prepared


def _task(item: Item, shapes: Shapes, recipe: Recipe) -> Task:
    path = str(item.path.absolute())
    up = recipe.up if shapes.up_of is None else shapes.up_of(item.path)
    state: list[Any] = [item.id, path, stamp(item.path)]
    if up != recipe.up:
        state.append(up)
    state += [[str(other), stamp(other)] for other in files_read_with(item.path)]
    key = hashlib.sha256(json.dumps(state).encode()).hexdigest()
    return Task(key, path, item.id, up)


def _prepared(entry: Entry, shapes: Shapes) -> Prepared:
    clouds = as_item_set(entry, shapes.name, shapes.split)
    assert isinstance(clouds, CloudSet)
    content = entry.content
    return Prepared(
        clouds=clouds,
        sources=tuple(content["shape_sources"]),
        scales=entry.arrays["scales"],
        rejected=tuple(Rejection(**rejection) for rejection in content["rejected"]),
        repairs={name: (files, count) for name, (files, count) in content["repairs"].items()},
        entry=entry.folder,
    )


def _carry_over(key: Key, journal: Kept, tasks: Sequence[Task]) -> None:
    """Copy what the newest entry of the key's place holds of the files that are still as they were.

    Rejected files are not among it: they are tried again.
    """
    found = newest_entry(key)
    if found is None:
        return
    wanted = {task.key for task in tasks if journal.get(task.key) is None}
    drawn = [name for name in ("points", "normals") if name in found.arrays]
    for row, (task_key, repairs) in enumerate(found.content["shapes"]):
        if task_key in wanted:
            centre, scale = found.arrays["centres"][row], found.arrays["scales"][row]
            values = {"repairs": repairs, "centre": centre.tolist(), "scale": float(scale)}
            journal.put(task_key, (values, {name: found.arrays[name][row] for name in drawn}))


def _fill(
    journal: Kept,
    shapes: Shapes,
    recipe: Recipe,
    tasks: Sequence[Task],
    workers: int,
    console: Console,
) -> None:
    left = [task for task in tasks if journal.get(task.key) is None]
    done = len(tasks) - len(left)
    progress = items_bar(console)
    what = f"preparing {shapes.name}, split {shapes.split}"
    if not console.is_terminal:
        again = f", {done} of them done before" if done else ""
        console.print(f"{what}: {len(tasks)} files{again}", markup=False, soft_wrap=True)
    bar = progress.add_task(what, total=len(tasks), completed=done)
    drawn = draw_shapes(left, shapes.load_points, recipe, workers)
    try:
        with progress, closing(drawn):
            for task, found in drawn:
                if isinstance(found, UserError):
                    found = {"rejected": str(found)}, {}
                journal.put(task.key, found)
                done += 1
                progress.update(bar, completed=done)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"stopped with {done} of the {len(tasks)} files of {shapes.name} done: the same "
            "command goes on from there"
        ) from None


def _found(journal: Kept, task: Task) -> Found:
    found = journal.get(task.key)
    if found is None:
        raise UserError(f"what was kept of {task.path} is damaged: run the command again")
    return found


def _draft(key: Key, journal: Kept, shapes: Shapes, recipe: Recipe, tasks: Sequence[Task]) -> Draft:
    found = [_found(journal, task)[0] for task in tasks]
    rows = [row for row, values in enumerate(found) if "rejected" not in values]
    rejected = [
        asdict(Rejection(task.id, task.path, values["rejected"]))
        for task, values in zip(tasks, found, strict=True)
        if "rejected" in values
    ]
    files: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(found[row]["repairs"])
        files.update(name for name, count in found[row]["repairs"].items() if count)
    repairs = {name: (files[name], counts[name]) for name in sorted(files)}

    def drawn(name: str) -> Blocks:
        blocks = (_found(journal, tasks[row])[1][name] for row in rows)
        return (len(rows), recipe.points, 3), np.dtype(np.float32), blocks

    arrays = {"points": drawn("points")}
    labels = [shapes.listing.items[row].label for row in rows]
    if None not in labels and labels:
        arrays["labels"] = whole(np.array(labels, dtype=np.int64))
    centres = np.array([found[row]["centre"] for row in rows], dtype=np.float64)
    arrays["centres"] = whole(centres.reshape(-1, 3))
    arrays["scales"] = whole(np.array([found[row]["scale"] for row in rows], dtype=np.float64))
    if recipe.normals:
        arrays["normals"] = drawn("normals")
    passed_over = shapes.listing.passed_over
    content = {
        "classes": list(shapes.listing.classes),
        "ids": [tasks[row].id for row in rows],
        "shape_sources": [tasks[row].path for row in rows],
        "rejected": rejected,
        "repairs": repairs,
        "shapes": [(tasks[row].key, found[row]["repairs"]) for row in rows],
    }
    report = {
        "name": shapes.name,
        "split": shapes.split,
        "recipe": asdict(recipe),
        "prepared": len(rows),
        "refused": rejected,
        "repairs": {
            name: {"files": files, "count": count} for name, (files, count) in repairs.items()
        },
        "passed_over": {why: [*map(str, paths)] for why, paths in passed_over.items()},
        "entry": str(key.folder),
    }
    return Draft(arrays, content, report)
