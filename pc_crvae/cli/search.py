"""``search``: the shapes of an index that are most like a query."""

import argparse
import difflib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.cli.saved import add_checkpoint_arguments, open_saved
from pc_crvae.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from pc_crvae.data.cards import Axis
    from pc_crvae.embedding.index import About, Embeddings
    from pc_crvae.models.points.vae import PointVAE

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
        choices=("x", "y", "z"),
        default=argparse.SUPPRESS,
        help="the axis that points up in the files that are queries (default: that of the files "
        "in the index, or z where it is a data set's)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="folder of the contact sheet, search.png and search.html (default: search in "
        "--ckpt's folder)",
    )


def run(options: argparse.Namespace) -> None:
    """Search."""
    if options.top < 1:
        raise UserError(f"--top must be at least 1, not {options.top}")
    out: Path = getattr(options, "out", options.ckpt / "search")

    import numpy as np

    from pc_crvae.embedding.index import load_embeddings, weights_sha256
    from pc_crvae.visualization.contact_sheet import Tile, contact_page, contact_sheet

    index = load_embeddings(options.index)
    saved = open_saved(options)
    model, folder = saved.point_model, saved.folder
    if weights_sha256(folder) != index.about.model_sha256:
        raise UserError(
            f"{options.index} was made by another model than {folder}, whose vectors mean other "
            "things: search it with the model that made it, or embed its shapes anew"
        )
    up: Axis = getattr(options, "up", "z" if index.about.data else index.about.up)
    about = index.about.model_copy(update={"up": up})
    indexed = _indexed(index)
    queries = [_query(model, name, index, about, indexed) for name in options.queries]
    distances, rows = index.nearest(np.stack([query.vector for query in queries]), options.top)

    sheet = []
    for query, nearest, hits in zip(queries, distances, rows, strict=True):
        print(query.name)
        tiles = [Tile(Path(query.name).name, cloud=query.cloud, note="query", marked=True)]
        for place, (distance, row) in enumerate(zip(nearest, hits, strict=True), start=1):
            name, (cloud, remark) = index.ids[row], indexed(int(row))
            print(f"{place:4d}  {distance:.4f}  {name}")
            note = f"{distance:.4f}, {remark}" if remark else f"{distance:.4f}"
            tiles.append(Tile(name, cloud=cloud, note=note))
        sheet.append(tiles)
    title = f"Nearest of {len(index):,} shapes by cosine distance"
    contact_sheet(sheet, out / "search.png", title=title)
    contact_page(sheet, out / "search.html", title=title)
    print(f"contact sheet: {out / 'search.png'} and {out / 'search.html'}")


@dataclass(frozen=True, eq=False)
class _Query:
    """A name, its vector (d,), and its points (P, 3), None where they could not be had."""

    name: str
    vector: "NDArray[np.float32]"
    cloud: "NDArray[np.float32] | None"


def _query(
    model: "PointVAE", name: str, index: "Embeddings", about: "About", indexed: "_Indexed"
) -> _Query:
    from pc_crvae.data.readers.shape_files import ShapeFile, load_shape
    from pc_crvae.embedding.index import embed_files

    path = Path(name)
    if path.is_file():
        vectors = embed_files(model, [ShapeFile(path, name)], about, _refuse)
        return _Query(name, vectors[0], load_shape(path, about.points, about.up))
    if name in index.ids:
        row = index.ids.index(name)
        return _Query(name, index.vectors[row], indexed(row)[0])
    near = difflib.get_close_matches(name, index.ids, n=1)
    question = f", did you mean {near[0]}?" if near else f", whose ids are such as {index.ids[0]}"
    raise UserError(f"{name} is neither a file nor the id of a shape in the index{question}")


def _refuse(reason: str) -> None:
    raise UserError(reason)


def _indexed(index: "Embeddings") -> "_Indexed":
    """Return what gives a row's points, None where they cannot be had, and a remark."""
    from pc_crvae.data import load_clouds
    from pc_crvae.data.readers.shape_files import load_shape

    about = index.about
    if about.data is None:

        def of_file(row: int) -> "_Shown":
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
