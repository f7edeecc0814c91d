"""Points of many shapes' files, drawn in processes of their own.

Each worker is a fresh interpreter that imports the reader and little else. It is told a file a
line and answers with a :class:`ShapeRecord`. So no script needs a guard around its main part, a
file that crashes the reader costs that worker alone, and a worker ends when its parent does.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import IO

import numpy as np

from pc_crvae.data.cache.journal import ShapeRecord, read_record
from pc_crvae.data.clouds import normalize, turn_z_up
from pc_crvae.data.items import Sample
from pc_crvae.errors import UserError
from pc_crvae.utils.up_axes import Axis

LoadPoints = Callable[[Path, int, np.random.Generator], Sample]
"""A reader's function of a module's top level: points of one file, drawn by a generator."""

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Recipe:
    """How points are drawn from a shape.

    Attributes:
        up: the axis that points up in the files whose task says none.
        points: how many are drawn.
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
        key: the key of the record that answers it.
        path: the file.
        id: the name of the shape.
        up: the axis that points up in the file; None for the recipe's.
    """

    key: str
    path: str
    id: str
    up: Axis | None = None


def draw_shape(task: Task, load_points: LoadPoints, recipe: Recipe) -> ShapeRecord:
    """Draw the points of one shape, z up, with mean 0 and largest radius 1."""
    # Philox by a hash of the id, so that neither order nor worker matters.
    digest = hashlib.sha256(f"{recipe.seed} {task.id}".encode()).digest()
    rng = np.random.Generator(np.random.Philox(int.from_bytes(digest[:16], "little")))
    try:
        sample = load_points(Path(task.path), recipe.points, rng)
        return _normalized(task, sample, recipe)
    except UserError as error:
        return ShapeRecord.of_rejected(task.key, str(error))


def _normalized(task: Task, sample: Sample, recipe: Recipe) -> ShapeRecord:
    up = task.up or recipe.up
    points = turn_z_up(np.asarray(sample.points, dtype=np.float64), up)
    low, size = points.min(axis=0), np.ptp(points, axis=0).max()
    if not (np.isfinite(size) and size > 0):
        raise UserError(f"{task.path} gives one single point or none that is finite: no scale")
    # Reckoned from the lowest corner and in units of the size, which far and huge shapes need.
    near = (points - low) / size
    radius = np.sqrt(np.square(near - near.mean(axis=0)).sum(axis=1).max())
    centre = low + near.mean(axis=0) * size
    arrays = [normalize(near[None])[0]]
    if recipe.normals:
        if sample.normals is None:
            raise UserError(f"{task.path} has no normals: prepare the set without them")
        arrays.append(turn_z_up(sample.normals, up).astype(np.float32))
    return ShapeRecord(
        key=task.key,
        rejected=None,
        repairs=sample.repairs,
        centre=(float(centre[0]), float(centre[1]), float(centre[2])),
        scale=float(radius * size),
        arrays=np.stack(arrays),
    )


def draw_shapes(
    tasks: Sequence[Task], load_points: LoadPoints, recipe: Recipe, workers: int
) -> Generator[ShapeRecord, None, None]:
    """Yield the records of all ``tasks`` as they come, drawn by ``workers`` processes.

    Closing the generator, or an error in it, ends the processes.

    Raises:
        RuntimeError: a worker failed by an error of the code; it wrote its traceback.
    """
    waiting = iter(tasks)
    lock = threading.Lock()
    answers: SimpleQueue[ShapeRecord | Exception] = SimpleQueue()
    running: set[_Worker] = set()
    ended = threading.Event()

    def next_task() -> Task | None:
        with lock:
            return None if ended.is_set() else next(waiting, None)

    def serve() -> None:
        worker = None
        try:
            while (task := next_task()) is not None:
                if worker is None:
                    worker = _Worker(load_points, recipe)
                    running.add(worker)
                record = worker.draw(task)
                if worker.is_gone():
                    worker.end()
                    worker = None
                answers.put(record)
        except Exception as error:  # handed to the thread that waits
            answers.put(error)
        finally:
            if worker is not None:
                worker.end()

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(min(workers, len(tasks)))]
    try:
        for thread in threads:
            thread.start()
        for _ in tasks:
            answer = answers.get()
            if isinstance(answer, Exception):
                raise answer
            yield answer
    finally:
        ended.set()
        for worker in list(running):
            worker.end()
        for thread in threads:
            thread.join()


class _Worker:
    """The parent's end of a worker process."""

    def __init__(self, load_points: LoadPoints, recipe: Recipe) -> None:
        package = str(Path(__file__).parents[3])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        # A session of its own, so that Ctrl-C is for the parent to answer.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {__name__} import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | _ONE_THREAD | {"PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,
        )
        function = [load_points.__module__, load_points.__qualname__]
        self._say({"function": function, "recipe": asdict(recipe)})

    def _say(self, values: dict[str, object]) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # its end shows when it is asked for an answer
                self._process.stdin.write(json.dumps(values).encode() + b"\n")
                self._process.stdin.flush()

    def draw(self, task: Task) -> ShapeRecord:
        self._say(asdict(task))
        record = None if self._process.stdout is None else read_record(self._process.stdout)
        if record is not None:
            return record
        status = self._process.wait()
        if status >= 0:
            raise RuntimeError(f"the worker that read {task.path} failed, exit status {status}")
        name = signal.Signals(-status).name
        reason = f"{task.path} ended the process that read it ({name}): is it too large?"
        return ShapeRecord.of_rejected(task.key, reason)

    def is_gone(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def _work(tasks: IO[bytes], answers: IO[bytes]) -> None:
    """Answer one task after another until the parent closes its end."""
    setup = json.loads(tasks.readline())
    module, name = setup["function"]
    load_points: LoadPoints = getattr(import_module(module), name)
    recipe = Recipe(**setup["recipe"])
    for line in tasks:
        answers.write(draw_shape(Task(**json.loads(line)), load_points, recipe).to_bytes())
        answers.flush()


def main() -> None:
    """Be a worker, told by the standard input and answering on the standard output."""
    with suppress(BrokenPipeError), os.fdopen(os.dup(1), "wb") as answers:
        # What a library prints belongs among the errors: the answers have the pipe to themselves.
        os.dup2(2, 1)
        _work(sys.stdin.buffer, answers)
