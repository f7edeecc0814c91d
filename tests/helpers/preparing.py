"""Meshes that the tests' own reader prepares, and what was read and kept of them."""

from io import StringIO
from pathlib import Path

from rich.console import Console

from helpers.flaky_reader import shapes
from pc_crvae.data.cache.preparation import Prepared, Recipe, prepare


def quiet() -> Console:
    return Console(file=StringIO())


def run(
    root: Path,
    recipe: Recipe | None = None,
    rows: list[int] | None = None,
    labelled: bool = True,
    workers: int = 1,
    console: Console | None = None,
) -> Prepared:
    recipe = Recipe("z", points=64) if recipe is None else recipe
    place = {"folder": str(root)}
    return prepare(
        shapes(root, rows, labelled), recipe, place, workers=workers, console=console or quiet()
    )


def reads(root: Path, parent: int | None = None) -> list[str]:
    """Names of the files read so far, by the workers of one process or by all."""
    log = root.parent / "reads.log"
    lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return [name for name, process in lines if parent in (None, int(process))]


def entries(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if path.is_dir()]


def content(prepared: Prepared) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in prepared.entry.iterdir()}


def spoil(root: Path, row: int, text: str) -> Path:
    path = root / f"shape_{row:02d}.off"
    path.write_text(text)
    return path


def journal_of(cache: Path) -> Path:
    (path,) = cache.glob("*.partial")
    return path
