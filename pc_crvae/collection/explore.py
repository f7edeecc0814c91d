"""From a folder of shapes to a page, tables and a report, in one go and without training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.collection.analysis import Analysis, analyse
from pc_crvae.collection.duplicates_page import duplicates_page
from pc_crvae.collection.freshness import fresh_content, made_of_files, made_of_index
from pc_crvae.collection.page import collection_page
from pc_crvae.collection.reading import Collection, read_files, read_index
from pc_crvae.collection.store import mark_as_used, store_for
from pc_crvae.collection.tables import write_duplicates, write_shapes
from pc_crvae.data.readers.shape_files import FoundShapes, find_shapes
from pc_crvae.embedding.index import SUFFIXES, Embeddings, load_embeddings
from pc_crvae.embedding.shapes import about_of
from pc_crvae.errors import UserError
from pc_crvae.utils.counting import Counting, silent
from pc_crvae.utils.files import npz_names, require_writable

if TYPE_CHECKING:
    from pc_crvae.runs.saved import SavedModel

PAGE, SHAPES, DUPLICATES = "explore.html", "shapes.csv", "duplicates.csv"
REPORT, INDEX = "duplicates.html", "embeddings.npz"


@dataclass(frozen=True, eq=False)
class Explored:
    """A collection that was explored.

    Attributes:
        collection: its shapes and their vectors.
        analysis: the findings about them.
        out: the folder that holds the page, the tables and the report.
    """

    collection: Collection
    analysis: Analysis
    out: Path

    @property
    def page(self) -> Path:
        """The page."""
        return self.out / PAGE


def default_out(places: Sequence[Path]) -> Path:
    """Return the folder that a collection goes to unless told: ``explore/NAME``."""
    return Path("explore") / (_name_of(places[0]) or "root")


def _name_of(place: Path) -> str:
    """The name of a place as it was typed: that of a link, and not of where it leads."""
    return (place.resolve() if ".." in place.parts else place.absolute()).name


def explore(
    places: Sequence[Path],
    out: Path,
    open_model: "Callable[[], SavedModel]",
    *,
    points: int | None = None,
    up: str | None = None,
    progress: Counting = silent,
    tell: Callable[[str], None] = lambda text: None,
) -> Explored:
    """Read shapes, find out what there is to tell, and write it.

    What is read is kept in the cache folder, where the next run and ``search`` find it.

    Args:
        places: files and folders of shapes; or one index that ``embed`` wrote.
        out: the folder to write to.
        open_model: reads the model; of an index it is not called.
        points: the points to draw of each shape; by default as many as the model was made for.
        up: the axis that points up, as ``embed`` takes it.
        progress: a function to call with how far the work is.
        tell: is told that another process reads the same shapes, and is waited for.

    Raises:
        UserError: there is no shape, none can be used, or the folder cannot be written.
    """
    require_writable(out / PAGE)
    sources = _sources(places, out, points, up)
    saved = None if isinstance(sources, Embeddings) else open_model()
    with store_for(places, tell) as store:
        if isinstance(sources, Embeddings):
            made_of = made_of_index(sources)
            with progress("reading", len(sources)) as advance:
                collection = read_index(sources, store, advance)
        else:
            assert saved is not None
            about = about_of(saved, points, up)
            made_of = made_of_files(sources, about)
            with progress("reading and embedding", len(sources.files)) as advance:
                collection = read_files(sources.files, saved.point_model, about, store, advance)
            collection = replace(collection, passed_over=sources.passed_over)
        analysis = analyse(collection, store=store, progress=progress)
    name = _name_of(places[0])
    with progress("writing", 1) as advance:
        # Without a page nothing is taken for what was found before, however this ends.
        (out / PAGE).unlink(missing_ok=True)
        if not isinstance(sources, Embeddings):
            collection.embeddings.save(out / INDEX)
        write_shapes(out / SHAPES, collection, analysis)
        write_duplicates(out / DUPLICATES, collection, analysis)
        duplicates_page(out / REPORT, collection, analysis, title=f"Duplicates in {name}")
        collection_page(out / PAGE, collection, analysis, title=name, made_of=made_of)
        advance()
    return Explored(collection, analysis, out)


def explored_before(
    places: Sequence[Path],
    out: Path,
    open_model: "Callable[[], SavedModel]",
    *,
    points: int | None = None,
    up: str | None = None,
) -> tuple[Embeddings, str] | None:
    """Return what :func:`explore` found before, if it would find and write the same again.

    Its arguments are those of :func:`explore`.

    Returns:
        The vectors of the page, and how much there is of what, in a line. None: something is
        missing or damaged, or anything that the page depends on has changed.

    Raises:
        UserError: there is no shape.
    """
    sources = _sources(places, out, points, up)
    beside = [out / name for name in (SHAPES, DUPLICATES, REPORT)]
    if isinstance(sources, Embeddings):
        content = fresh_content(out / PAGE, made_of_index(sources), beside)
        return None if content is None else (sources, content["summary"])
    made_of = made_of_files(sources, about_of(open_model(), points, up))
    content = fresh_content(out / PAGE, made_of, beside)
    if content is None:
        return None
    try:
        embeddings = load_embeddings(out / INDEX)
    except UserError:  # missing or damaged
        return None
    mark_as_used(places)
    return embeddings, content["summary"]


def _sources(
    places: Sequence[Path], out: Path, points: int | None, up: str | None
) -> Embeddings | FoundShapes:
    index = _index_among(places)
    if index is None:
        return _without(out, find_shapes(places))
    if points is not None or up is not None:
        raise UserError(
            f"{places[0]} is an index, whose points and upright axis are as it was made: give "
            "neither"
        )
    return index


def _index_among(places: Sequence[Path]) -> Embeddings | None:
    """The index that is named, if one is: it says what its vectors are, which no cloud does."""
    if len(places) != 1 or not places[0].is_file() or places[0].suffix not in SUFFIXES:
        return None
    if places[0].suffix == ".npz" and "about" not in npz_names(places[0]):
        return None
    return load_embeddings(places[0])


def _without(out: Path, found: FoundShapes) -> FoundShapes:
    """Leave out what an earlier run wrote, where its folder lies among the shapes."""
    own = out.resolve()

    def is_own(path: Path) -> bool:
        return own in path.absolute().parents or own in path.resolve().parents

    files = [file for file in found.files if not is_own(file.path)]
    if not files:
        raise UserError(f"{out} holds what this command wrote, and no shapes: name another folder")
    others = {}
    for reason, paths in found.passed_over.items():
        if kept := tuple(path for path in paths if not is_own(path)):
            others[reason] = kept
    return FoundShapes(files, others)
