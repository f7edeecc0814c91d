"""Points of many shapes' files, drawn in processes of their own.

A worker imports the reader and little else; a file that crashes the reader costs that worker alone.
"""

import hashlib
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from pc_crvae.data.clouds import normalize, turn_z_up
from pc_crvae.data.items import Sample
from pc_crvae.errors import UserError
from pc_crvae.utils.up_axes import Axis
from pc_crvae.utils.workers import Answer, Found, Lost, answers

LoadPoints = Callable[[Path, int, np.random.Generator], Sample]
"""A reader's function of a module's top level: points of one file, drawn by a generator."""


@dataclass(frozen=True)
class Recipe:
    """How points are drawn from a shape.

    Attributes:
        up: the axis that points up in the files whose task says none.
        points: the number of points to draw.
        normals: whether the normal at each is kept.
        seed: the seed of all shapes; what is drawn for one depends on it and the id alone.

    Raises:
        UserError: ``points`` is out of range.
    """

    up: Axis
    points: int = 2048
    normals: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.points <= MOST_POINTS:
            raise UserError(
                f"{self.points} points are to be kept of a shape, and 2 to {MOST_POINTS} can be"
            )


MOST_POINTS = 16_384


@dataclass(frozen=True)
class Task:
    """One file to read.

    Attributes:
        key: what the file was, and in which state.
        path: the file.
        id: the name of the shape.
        up: the axis that points up in the file; None for the recipe's.
    """

    key: str
    path: str
    id: str
    up: Axis | None = None


def draw_shape(task: Task, load_points: LoadPoints, recipe: Recipe) -> Found:
    """Draw the points of one shape, z up, with mean 0 and largest radius 1.

    Returns:
        How often what was repaired (``repairs``), what was subtracted from the points, z up, in the
        unit of the file (``centre``), what they were then divided by (``scale``); and the
        ``points`` (P, 3) float32, perhaps with their ``normals`` (P, 3).

    Raises:
        UserError: the file cannot be used.
    """
    # Philox by a hash of the id, so that neither order nor worker matters.
    digest = hashlib.sha256(f"{recipe.seed} {task.id}".encode()).digest()
    rng = np.random.Generator(np.random.Philox(int.from_bytes(digest[:16], "little")))
    sample = load_points(Path(task.path), recipe.points, rng)
    up = task.up or recipe.up
    points = turn_z_up(np.asarray(sample.points, dtype=np.float64), up)
    low, size = points.min(axis=0), np.ptp(points, axis=0).max()
    if not (np.isfinite(size) and size > 0):
        raise UserError(f"{task.path} gives one single point or none that is finite: no scale")
    # Reckoned from the lowest corner and in units of the size, which far and huge shapes need.
    near = (points - low) / size
    radius = np.sqrt(np.square(near - near.mean(axis=0)).sum(axis=1).max())
    centre = low + near.mean(axis=0) * size
    arrays = {"points": normalize(near[None])[0]}
    if recipe.normals:
        if sample.normals is None:
            raise UserError(f"{task.path} has no normals: prepare the set without them")
        arrays["normals"] = turn_z_up(sample.normals, up).astype(np.float32)
    scale = float(radius * size)
    return {"repairs": sample.repairs, "centre": centre.tolist(), "scale": scale}, arrays


def draw_shapes(
    tasks: Sequence[Task], load_points: LoadPoints, recipe: Recipe, workers: int
) -> Generator[tuple[Task, Found | UserError], None, None]:
    """Yield all ``tasks``, and what was drawn of each by ``workers`` processes, as it comes.

    Closing the generator, or an error in it, ends the processes.

    Raises:
        RuntimeError: a worker failed by an error of the code; it wrote its traceback.
    """
    setup = [load_points.__module__, load_points.__qualname__, asdict(recipe)]
    asked = [asdict(task) for task in tasks]
    with closing(answers(prepare_drawing, setup, asked, workers, ordered=False)) as drawn:
        for place, found in drawn:
            task = tasks[place]
            yield task, UserError(found.why(task.path)) if isinstance(found, Lost) else found


def prepare_drawing(setup: Any) -> Answer:
    """Return what draws the shape of a task, in a worker."""
    module, name, recipe = setup
    load_points: LoadPoints = getattr(import_module(module), name)
    how = Recipe(**recipe)
    return lambda task: draw_shape(Task(**task), load_points, how)
