"""``search``: the shapes of a folder or an index that are most like a query."""

import argparse
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.cli.counting import counting
from pc_crvae.cli.endings import tell_files
from pc_crvae.cli.options import (
    add_count,
    add_json,
    add_model,
    add_out,
    add_points,
    add_shared,
    add_up,
)
from pc_crvae.cli.saved import open_saved, reports_of, tell
from pc_crvae.cli.shapes import LeftOut, about_vectors, check_vectors, refuse, tell_passed_over
from pc_crvae.errors import UserError, printable
from pc_crvae.utils.files import require_writable
from pc_crvae.utils.resources import DEFAULT_MODEL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pc_crvae.embedding.hits import Findings, FoundHit
    from pc_crvae.embedding.index import About, Embeddings
    from pc_crvae.embedding.opening import Index
    from pc_crvae.runs.saved import SavedModel
    from pc_crvae.visualization.contact_sheet import Tile

    _Shown = tuple[NDArray[np.float32] | None, str]
    _Indexed = Callable[[int], _Shown]

DESCRIPTION = "Find the shapes of a folder, or of an index, that are most like one of one's own."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_model(parser, default=DEFAULT_MODEL)
    parser.add_argument(
        "queries",
        nargs="+",
        metavar="FOLDER QUERY",
        help="the folder to search, at any depth, unless there is an --index; then, as queries, "
        "mesh or cloud files, or the ids of shapes that are searched. What the folder's files are "
        "embedded as is kept in the cache, and only new or changed ones are read again",
    )
    index = (
        "search embeddings that embed wrote by the same model, instead of a folder (default: none, "
        "a folder is searched)"
    )
    parser.add_argument("--index", type=Path, metavar="FILE", help=index)
    exact = (
        "go through all vectors of an --index, however many; otherwise one of more than 200,000 "
        "is searched by an approximate index, which is made once and kept beside it"
    )
    parser.add_argument("--exact", action="store_true", help=exact)
    add_count(parser, "--top", "hits to show for each query", default=5)
    add_up(
        parser,
        "the files of the folder and in the queries, or with --index in the queries",
        "what the format or the file says, or z; with --index, that of the files in it",
    )
    add_points(parser, " of a folder")
    add_shared(parser, "--average-over", "--drop-nan")
    add_json(parser, "the hits", "none")
    lines = "write the hits to this file, one per line (default: none)"
    parser.add_argument("--csv", type=Path, metavar="FILE", help=lines)
    folder = "folder of the contact sheet, search.png and search.html"
    add_out(parser, folder, "search in --ckpt's folder")


def run(options: argparse.Namespace) -> None:
    """Search."""
    _check(options)
    out: Path = options.out or reports_of(options.ckpt) / "search"

    from pc_crvae.embedding.hits import Answer, Findings
    from pc_crvae.embedding.shapes import find_query, query_vector, require_model_of
    from pc_crvae.visualization.contact_sheet import Tile

    left_out = LeftOut(options)
    index: Index | None = None if options.index is None else _opened(options)
    saved = open_saved(options)
    require_writable(out / "search.png", options.json, options.csv)
    if index is None:
        searched, *queries = options.queries
        index = _of_folder(options, Path(searched), saved, left_out)
    else:
        searched, queries = options.index, options.queries
        require_model_of(index, saved.weights_sha256, saved.folder)
    about = index.about.for_queries(options.up)
    found = [find_query(name, index) for name in queries]
    vectors = [
        query_vector(query, index, saved.point_model, about, unmeasured=left_out.count)
        for query in found
    ]
    left_out.tell()
    indexed = _indexed(index, drop_nan=options.drop_nan)

    answers, sheet = [], []
    for name, query, vector in zip(queries, found, vectors, strict=True):
        print(printable(name))
        hits = _hits(query, vector, index, options.top)
        _tell(hits)
        answers.append(Answer(query=name, hits=tuple(hits)))
        if isinstance(query, int):
            cloud, link = indexed(query)[0], ""
        else:
            cloud, link = _again(query, about, drop_nan=options.drop_nan), _address(str(query))
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
    from pc_crvae.embedding.opening import open_index

    return open_index(options.index, exact=options.exact, tell=tell, progress=counting)


def _check(options: argparse.Namespace) -> None:
    check_vectors(options)
    if options.index is not None:
        given = {"--points": options.points, "--average-over": options.average_over}
        for option, value in given.items():
            if value is not None:
                raise UserError(
                    f"{option} goes with a folder: --index says how its shapes were read"
                )
        return
    if options.exact:
        raise UserError("--exact goes with --index: a folder is always searched exactly")
    folder = Path(options.queries[0])
    if not folder.is_dir():
        raise UserError(
            f"{folder} is no folder to search: name one before the queries, or an --index"
        )
    if len(options.queries) < 2:
        raise UserError(f"name what to look for in {folder}: a mesh or cloud file, or an id")


def _of_folder(
    options: argparse.Namespace, folder: Path, saved: "SavedModel", left_out: LeftOut
) -> "Embeddings":
    from pc_crvae.collection.reading import read_files
    from pc_crvae.collection.store import store_for
    from pc_crvae.data.readers.shape_files import find_shapes

    found = find_shapes([folder])
    with (
        store_for([folder], tell) as store,
        counting("reading and embedding", len(found.files)) as advance,
    ):
        model, about = saved.point_model, about_vectors(options, saved)
        index = read_files(
            found.files, model, about, store, advance, measured=False, unmeasured=left_out.count
        )
    for sentence in index.refused:
        refuse(sentence)
    tell_passed_over(found)
    tell(
        f"{len(found.files):,} files in {folder}: {index.read:,} read, "
        f"{len(found.files) - index.read:,} as they were, {len(index.refused):,} refused"
    )
    return index.embeddings


def _again(file: Path, about: "About", *, drop_nan: bool) -> "NDArray[np.float32]":
    """Read a shape again, for its picture; how many points are left out was told before."""
    from pc_crvae.data.readers.shape_files import load_shape

    unmeasured = (lambda count: None) if drop_nan else None
    return load_shape(file, about.points, about.up, unmeasured=unmeasured)


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
    files = {
        "page": (out / "search.html", "open this first: each query and its hits, with pictures"),
        "contact sheet": (out / "search.png", "the same as one picture"),
    }
    if options.json is not None:
        findings.write_json(options.json)
        files["hits"] = options.json, "the hits, and how they were found"
    if options.csv is not None:
        findings.write_csv(options.csv)
        files["lines of hits"] = options.csv, "one line per hit"
    print("a line has the rank, the cosine distance (0: the same vector), the id and the file")
    tell_files(files)


def _indexed(index: "Index", *, drop_nan: bool) -> "_Indexed":
    """Return what gives a row's points, None where they cannot be had, and a remark."""
    from pc_crvae.data import load_clouds

    about = index.about
    if about.data is None:

        def of_file(row: int) -> "_Shown":
            if not index.sources[row]:
                return None, ""
            source = Path(index.sources[row])
            if not source.exists():
                return None, "its file is gone"
            try:
                return _again(source, about, drop_nan=drop_nan), ""
            except UserError:
                return None, "its file cannot be read"

        return of_file

    root = None if about.data.root is None else Path(about.data.root)
    try:
        items = load_clouds(about.data.name, about.data.split, root=root, up=about.up)
    except UserError as error:
        tell(f"hits are not pictured: {error}")
        return lambda row: (None, "")
    places = {name: place for place, name in enumerate(items.ids)}

    def of_split(row: int) -> "_Shown":
        place = places.get(index.ids[row])
        if place is None:
            return None, "no longer in the data set"
        label = "" if items.labels is None else items.classes[items.labels[place]]
        return items.points[place], label

    return of_split
