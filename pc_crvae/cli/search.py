"""``search``: the shapes of a folder or an index that are most like a query."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.cli.saved import add_checkpoint_arguments, open_saved, reports_of, up_axes
from pc_crvae.errors import UserError, printable
from pc_crvae.utils.files import require_writable
from pc_crvae.utils.resources import DEFAULT_MODEL
from pc_crvae.utils.up_axes import HELP

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pc_crvae.embedding.hits import Findings, FoundHit
    from pc_crvae.embedding.index import Embeddings
    from pc_crvae.embedding.opening import Index
    from pc_crvae.runs.saved import SavedModel
    from pc_crvae.visualization.contact_sheet import Tile

    _Shown = tuple[NDArray[np.float32] | None, str]
    _Indexed = Callable[[int], _Shown]

DESCRIPTION = "Find the shapes of a folder, or of an index, that are most like one of one's own."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_checkpoint_arguments(parser, default=DEFAULT_MODEL)
    parser.add_argument(
        "queries",
        nargs="+",
        metavar="FOLDER QUERY",
        help="the folder to search, at any depth, unless there is an --index; then, as queries, "
        "mesh or cloud files, or the ids of shapes that are searched. What the folder's files are "
        "embedded as is kept in the cache, and only new or changed ones are read again",
    )
    parser.add_argument(
        "--index",
        type=Path,
        metavar="FILE",
        help="search embeddings that tools/embed.py wrote by the same model, instead of a folder "
        "(default: none, a folder is searched)",
    )
    parser.add_argument(
        "--exact",
        action="store_true",
        help="go through all vectors of an --index, however many; otherwise one of more than "
        "200,000 is searched by an approximate index, which is made once and kept beside it",
    )
    parser.add_argument("--top", type=int, default=5, help="hits shown of each query")
    parser.add_argument(
        "--up",
        type=up_axes,
        metavar="AXIS",
        help=f"the axis that points up in the files of the folder and in the queries: {HELP}; with "
        "--index, in the queries (default: that of the format, or z; with --index, that of the "
        "files in it)",
    )
    parser.add_argument(
        "--points",
        type=int,
        help="of a folder: points drawn of each shape, as of tools/embed.py (default: as many as "
        "the model was trained with)",
    )
    parser.add_argument(
        "--average-over",
        metavar="GROUP",
        help="of a folder: vectors that depend less on how shapes face, as of tools/embed.py "
        "(default: one pass)",
    )
    parser.add_argument(
        "--drop-nan",
        action="store_true",
        help="leave out points of clouds that are NaN or infinite, and count them; otherwise such "
        "clouds are refused",
    )
    for form, what in (("json", "the hits there, as JSON"), ("csv", "a line a hit there")):
        help_text = f"write {what} (default: nowhere)"
        parser.add_argument(f"--{form}", type=Path, metavar="FILE", help=help_text)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the contact sheet, search.png and search.html (default: search in "
        "--ckpt's folder)",
    )


def run(options: argparse.Namespace) -> None:
    """Search."""
    _check(options)
    out: Path = options.out or reports_of(options.ckpt) / "search"

    from pc_crvae.cli.embed import tell_left_out
    from pc_crvae.data.readers.shape_files import load_shape
    from pc_crvae.embedding.hits import Answer, Findings
    from pc_crvae.embedding.shapes import find_query, query_vector, require_model_of
    from pc_crvae.visualization.contact_sheet import Tile

    left_out: list[int] = []
    unmeasured = left_out.append if options.drop_nan else None
    index: Index | None = None if options.index is None else _opened(options)
    saved = open_saved(options)
    for path in (out / "search.png", options.json, options.csv):
        if path is not None:
            require_writable(path)
    if index is None:
        searched, *queries = options.queries
        index = _of_folder(options, Path(searched), saved, unmeasured)
    else:
        searched, queries = options.index, options.queries
        require_model_of(index, saved.weights_sha256, saved.folder)
    about = index.about.for_queries(options.up)
    found = [find_query(name, index) for name in queries]
    vectors = [
        query_vector(query, index, saved.point_model, about, unmeasured=unmeasured)
        for query in found
    ]
    tell_left_out(left_out)
    indexed = _indexed(index, drop_nan=options.drop_nan)

    def shown(query: Path) -> "NDArray[np.float32]":
        unmeasured = _told if options.drop_nan else None
        return load_shape(query, about.points, about.up, unmeasured=unmeasured)

    answers, sheet = [], []
    for name, query, vector in zip(queries, found, vectors, strict=True):
        print(printable(name))
        hits = _hits(query, vector, index, options.top)
        _tell(hits)
        answers.append(Answer(query=name, hits=tuple(hits)))
        cloud = shown(query) if isinstance(query, Path) else indexed(query)[0]
        link = _address(str(query)) if isinstance(query, Path) else ""
        tiles = [Tile(Path(name).name, cloud, "query", marked=True, link=link)]
        sheet.append([*tiles, *(_tile(hit, indexed(row)) for hit, row in hits.items())])
    findings = Findings(
        searched=str(Path(searched).absolute()),
        shapes=len(index),
        about=index.about,
        answers=tuple(answers),
    )
    _write(options, findings, sheet, out)


def _opened(options: argparse.Namespace) -> "Index":
    from pc_crvae.cli.counting import counting
    from pc_crvae.embedding.opening import open_index

    return open_index(
        options.index,
        exact=options.exact,
        tell=lambda text: print(printable(text), file=sys.stderr),
        progress=counting,
    )


def _check(options: argparse.Namespace) -> None:
    from pc_crvae.embedding.index import check_points
    from pc_crvae.embedding.rotation_average import check_group

    if options.top < 1:
        raise UserError(f"--top must be at least 1, not {options.top}")
    check_points(options.points, "--points")
    if options.average_over is not None:
        check_group(options.average_over, "--average-over")
    if options.index is not None:
        for name in ("points", "average_over"):
            if getattr(options, name) is not None:
                option = name.replace("_", "-")
                raise UserError(f"--{option} is of a folder: --index says how its shapes were read")
        return
    if options.exact:
        raise UserError("--exact is of an --index: a folder is always searched exactly")
    folder = Path(options.queries[0])
    if not folder.is_dir():
        raise UserError(
            f"{folder} is no folder to search: name one before the queries, or an --index"
        )
    if len(options.queries) < 2:
        raise UserError(f"name what to look for in {folder}: a mesh or cloud file, or an id")


def _of_folder(
    options: argparse.Namespace,
    folder: Path,
    saved: "SavedModel",
    unmeasured: Callable[[int], None] | None,
) -> "Embeddings":
    from contextlib import ExitStack

    from pc_crvae.cli.counting import counting
    from pc_crvae.cli.embed import refuse
    from pc_crvae.data.facing import up_in_full
    from pc_crvae.data.formats.other_kinds import tell_passed_over
    from pc_crvae.data.readers.shape_files import find_shapes
    from pc_crvae.embedding.folder_index import index_folder
    from pc_crvae.embedding.index import About

    found = find_shapes([folder])
    about = About(
        model_sha256=saved.weights_sha256,
        points=options.points or saved.point_model.points,
        up=up_in_full(options.up),
        average_over=options.average_over,
    )
    with ExitStack() as shown:
        index = index_folder(
            saved.point_model,
            folder,
            found.files,
            about,
            unmeasured=unmeasured,
            start=lambda count: shown.enter_context(counting("embedding", count)),
            tell=lambda text: print(printable(text), file=sys.stderr),
        )
    for sentence in index.refused:
        refuse(sentence)
    for line in tell_passed_over(found.passed_over):
        print(line, file=sys.stderr)
    print(
        f"{len(found.files):,} files in {printable(str(folder))}: {index.read:,} read, "
        f"{len(found.files) - index.read:,} as they were, {len(index.refused):,} refused",
        file=sys.stderr,
    )
    return index.embeddings


def _told(count: int) -> None:
    """Take the number of points left out of a shape that was read, and told, before."""


def _hits(
    query: Path | int, vector: "NDArray[np.float32]", index: "Index", count: int
) -> "dict[FoundHit, int]":
    """Return the hits of a query, the nearest first, and their rows in the index."""
    from pc_crvae.embedding.hits import FoundHit
    from pc_crvae.embedding.shapes import nearest_hits

    hits = {}
    for rank, hit in enumerate(nearest_hits(index, vector, count), start=1):
        path = index.sources[hit.row] or None
        if isinstance(query, int):
            is_query = hit.row == query
        else:
            is_query = path is not None and os.path.realpath(path) == os.path.realpath(query)
        found = FoundHit(rank=rank, distance=hit.distance, id=hit.id, path=path, is_query=is_query)
        hits[found] = hit.row
    return hits


def _tell(hits: "Iterable[FoundHit]") -> None:
    for hit in hits:
        parts = [f"{hit.rank:4d}", f"{hit.distance:.4f}", hit.id, hit.path or ""]
        parts += ["(the query itself)"] if hit.is_query else []
        print("  ".join(printable(part) for part in parts if part))


def _tile(hit: "FoundHit", shown: "_Shown") -> "Tile":
    from pc_crvae.visualization.contact_sheet import Tile

    cloud, remark = shown
    notes = [f"{hit.distance:.4f}", remark, "the query itself" if hit.is_query else ""]
    link = _address(hit.path) if hit.path else ""
    return Tile(hit.id, cloud, ", ".join(filter(None, notes)), link=link)


def _address(path: str) -> str:
    return Path(path).absolute().as_uri()


def _write(
    options: argparse.Namespace, findings: "Findings", sheet: "list[list[Tile]]", out: Path
) -> None:
    from pc_crvae.visualization.contact_page import contact_page
    from pc_crvae.visualization.contact_sheet import contact_sheet

    title = f"Nearest of {findings.shapes:,} shapes by cosine distance"
    contact_sheet(sheet, out / "search.png", title=title)
    contact_page(sheet, out / "search.html", title=title)
    print(f"contact sheet: {out / 'search.png'} and {out / 'search.html'}")
    if options.json is not None:
        findings.write_json(options.json)
        print(f"hits: {printable(str(options.json))}")
    if options.csv is not None:
        findings.write_csv(options.csv)
        print(f"hits: {printable(str(options.csv))}")


def _indexed(index: "Index", *, drop_nan: bool) -> "_Indexed":
    """Return what gives a row's points, None where they cannot be had, and a remark."""
    from pc_crvae.data import load_clouds
    from pc_crvae.data.readers.shape_files import load_shape

    about = index.about
    unmeasured = _told if drop_nan else None
    if about.data is None:

        def of_file(row: int) -> "_Shown":
            if not index.sources[row]:
                return None, ""
            source = Path(index.sources[row])
            if not source.exists():
                return None, "its file is gone"
            try:
                return load_shape(source, about.points, about.up, unmeasured=unmeasured), ""
            except UserError:
                return None, "its file cannot be read"

        return of_file

    root = None if about.data.root is None else Path(about.data.root)
    try:
        items = load_clouds(about.data.name, about.data.split, root=root, up=about.up)
    except UserError as error:
        print(f"hits are not pictured: {error}", file=sys.stderr)
        return lambda row: (None, "")
    places = {name: place for place, name in enumerate(items.ids)}

    def of_split(row: int) -> "_Shown":
        place = places.get(index.ids[row])
        if place is None:
            return None, "no longer in the data set"
        label = "" if items.labels is None else items.classes[items.labels[place]]
        return items.points[place], label

    return of_split
