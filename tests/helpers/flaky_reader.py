"""A reader for tests of the preparation: it counts what it reads, and fails where it is told to."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from pc_crvae.data.cache.preparation import Shapes
from pc_crvae.data.formats import meshes
from pc_crvae.data.items import Item, Listing, Sample
from pc_crvae.errors import UserError

COUNT = 12


def shapes(root: Path, rows: list[int] | None = None, labelled: bool = True) -> Shapes:
    """The meshes of a test, all of them by default."""
    rows = list(range(COUNT)) if rows is None else rows
    paths = {row: root / f"shape_{row:02d}.off" for row in rows}
    listing = Listing(
        [Item(paths[row], f"s{row}", row % 3 if labelled else None) for row in rows],
        ("a", "b", "c") if labelled else (),
        {"of another kind": (root / "notes.txt",)},
    )
    return Shapes(name="own", split="train", listing=listing, load_points=load_points, reader=1)


def load_points(path: Path, count: int, rng: np.random.Generator) -> Sample:
    text = path.read_text() if path.exists() else ""
    # One write of a few bytes, so that lines of several processes do not mix.
    with (path.parents[1] / "reads.log").open("a") as file:
        file.write(f"{path.name} {os.getppid()}\n")
    if "SLOW" in text:
        time.sleep(0.2)
    if "CRASH" in text:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "BUG" in text:
        raise ZeroDivisionError("an error of the code")
    if "POINT" in text:
        return Sample(np.ones((count, 3)), None, {})
    if "REFUSE" in text:
        raise UserError(f"{path} is not to be used")
    sys.stdout.write("a reader that prints\n")
    sys.stdout.flush()
    return meshes.load_points(path, count, rng)
