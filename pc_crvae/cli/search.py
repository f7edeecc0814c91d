"""``search``: the shapes of an index that are most like a query."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.cli.saved import add_checkpoint_arguments, open_saved, reports_of, up_axes
from pc_crvae.errors import UserError, printable
from pc_crvae.utils.files import require_writable
from pc_crvae.utils.up_axes import HELP

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from pc_crvae.embedding.index import Embeddings

    _Shown = tuple[NDArray[np.float32] | None, str]
    _Indexed = Callable[[int], _Shown]

DESCRIPTION = "Find the shapes of an index that are most like a mesh or cloud of one's own."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_checkpoint_arguments(parser)
    parser.add_argument(
        "--index",
        type=Path,
        required=True,
        metavar="FILE",
        help="embeddings that tools/embed.py wrote by the same model",
    )
    parser.add_argument(
        "queries",
        nargs="+",
        metavar="QUERY",
        help="a mesh or cloud file, or the id of a shape in the index",
    )
    parser.add_argument("--top", type=int, default=5, help="hits shown of each query")
    parser.add_argument(
        "--up",
        type=up_axes,
        metavar="AXIS",
        help=f"the axis that points up in the files that are queries: {HELP} (default: that of the "
        "files in the index)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the contact sheet, search.png and search.html (default: search in "
        "--ckpt's folder)",
    )


def run(options: argparse.Namespace) -> None:
    """Search."""
    if options.top < 1:
        raise UserError(f"--top must be at least 1, not {options.top}")
    out: Path = options.out or reports_of(options.ckpt) / "search"

    from pc_crvae.data.readers.shape_files import load_shape
    from pc_crvae.embedding.index import load_embeddings
    from pc_crvae.embedding.shapes import find_query, nearest_hits, query_vector, require_model_of
    from pc_crvae.visualization.contact_sheet import Tile, contact_page, contact_sheet

    index = load_embeddings(options.index)
    saved = open_saved(options)
    require_writable(out / "search.png")
    require_model_of(index, saved.weights_sha256, saved.folder)
    about = index.about.for_queries(options.up)
    indexed = _indexed(index)
    found = [find_query(name, index) for name in options.queries]
    vectors = [query_vector(query, index, saved.point_model, about) for query in found]

    sheet = []
    for name, query, vector in zip(options.queries, found, vectors, strict=True):
        print(printable(name))
        if isinstance(query, int):
            cloud, _ = indexed(query)
        else:
            cloud = load_shape(query, about.points, about.up)
        tiles = [Tile(Path(name).name, cloud, "query", marked=True)]
        for place, hit in enumerate(nearest_hits(index, vector, options.top), start=1):
            print(f"{place:4d}  {hit.distance:.4f}  {printable(hit.id)}")
            cloud, remark = indexed(hit.row)
            note = f"{hit.distance:.4f}, {remark}" if remark else f"{hit.distance:.4f}"
            tiles.append(Tile(hit.id, cloud, note))
        sheet.append(tiles)
    title = f"Nearest of {len(index):,} shapes by cosine distance"
    contact_sheet(sheet, out / "search.png", title=title)
    contact_page(sheet, out / "search.html", title=title)
    print(f"contact sheet: {out / 'search.png'} and {out / 'search.html'}")


def _indexed(index: "Embeddings") -> "_Indexed":
    """Return what gives a row's points, None where they cannot be had, and a remark."""
    from pc_crvae.data import load_clouds
    from pc_crvae.data.readers.shape_files import load_shape

    about = index.about
    if about.data is None:

        def of_file(row: int) -> "_Shown":
            if not index.sources[row]:
                return None, ""
            source = Path(index.sources[row])
            if not source.exists():
                return None, "its file is gone"
            try:
                return load_shape(source, about.points, about.up), ""
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
