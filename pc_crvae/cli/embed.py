"""``embed``: vectors of one's own meshes and clouds, or of a data set's split, in one file."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.cli.counting import counting
from pc_crvae.cli.options import (
    add_count,
    add_data,
    add_data_root,
    add_model,
    add_out,
    add_points,
    add_shared,
    add_up,
)
from pc_crvae.cli.saved import open_saved, tell
from pc_crvae.cli.shapes import LeftOut, about_vectors, check_vectors, refuse, tell_passed_over
from pc_crvae.errors import UserError
from pc_crvae.utils.files import require_writable
from pc_crvae.utils.invocation import called
from pc_crvae.utils.resources import DEFAULT_MODEL

if TYPE_CHECKING:
    from pc_crvae.embedding.index import Embeddings
    from pc_crvae.runs.saved import SavedModel

FILES_A_PART = 1000

DESCRIPTION = "Embed one's own meshes and clouds, or a data set's split, as vectors in one file."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_model(parser, default=DEFAULT_MODEL)
    parser.add_argument("places", nargs="*", type=Path, metavar="PATH")
    add_data(parser, "a data set to embed, its --split", "the PATHs given")
    parser.add_argument("--split", choices=("train", "test"), default="test")
    add_data_root(parser, "the folder where the run found them")
    add_up(parser)
    add_points(parser, ", fixed by what the file holds; a cloud that has fewer is taken as it is")
    add_shared(parser, "--average-over", "--drop-nan")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--shard", metavar="I/N")
    add_count(parser, "--part-files", default=FILES_A_PART)
    parser.add_argument("--merge", type=Path, metavar="DIR")
    out = "what to write: .npz, or .parquet where pyarrow is installed; with --shard, a folder"
    add_out(parser, out, None, "FILE")


def run(options: argparse.Namespace) -> None:
    """Embed."""
    from pc_crvae.embedding.index import check_suffix

    check_vectors(options)
    if options.shard is not None:
        _embed_shard(options)
        return
    check_suffix(options.out)
    require_writable(options.out)
    if options.merge is not None:
        _merge(options)
        return
    if bool(options.places) == (options.data is not None):
        raise UserError("name files and folders to embed, or a data set with --data, not both")
    if options.data is None and options.data_root is not None:
        raise UserError("--data-root is the folder of --data: name a data set with it")
    embeddings = _of_split(options) if options.data is not None else _of_files(options)
    embeddings.save(options.out)
    count, size = embeddings.vectors.shape
    _tell(options, count, size, embeddings.ids[0])


def _tell(options: argparse.Namespace, count: int, size: int, query: str) -> None:
    print(f"embeddings: {options.out}, {count:,} vectors of {size} numbers")
    line = called("search", "--ckpt", options.ckpt, "--index", options.out, query)
    print(f"next, what is most like a shape, by its id or the file of any other: {line}")


def _of_files(options: argparse.Namespace) -> "Embeddings":
    from pc_crvae.data.readers.shape_files import find_shapes
    from pc_crvae.embedding.shapes import embeddings_of_files

    found = find_shapes(options.places)
    saved, left_out = open_saved(options), LeftOut(options)
    with counting("embedding", len(found.files)) as advance:
        model, about = saved.point_model, about_vectors(options, saved)
        embeddings = embeddings_of_files(
            model, found.files, about, refuse, advance, unmeasured=left_out.count
        )
    left_out.tell()
    tell_passed_over(found)
    refused = len(found.files) - len(embeddings)
    if refused and options.strict:
        raise UserError(
            f"{refused} of {len(found.files)} files were refused: nothing is written, by --strict"
        )
    if refused:
        tell(f"{refused} of {len(found.files)} files were refused, see above")
    return embeddings


def _embed_shard(options: argparse.Namespace) -> None:
    from pc_crvae.data.readers.shape_files import find_shapes
    from pc_crvae.embedding.parquet import require_pyarrow
    from pc_crvae.embedding.parts import Plan, embed_parts, missing_parts, parse_shard

    shard = parse_shard(options.shard)
    if options.data is not None or options.merge is not None or options.strict:
        raise UserError("--shard is for PATHs alone: leave out --data, --merge and --strict")
    if not options.places:
        raise UserError("name files and folders to embed")
    require_pyarrow(options.out)
    require_writable(options.out / "part")
    found = find_shapes(options.places)
    saved, left_out = open_saved(options), LeftOut(options)
    plan = Plan(found.files, about_vectors(options, saved), options.out, options.part_files)
    numbers = missing_parts(plan, shard, tell)
    with counting("embedding", sum(len(plan.of_part(number)) for number in numbers)) as advance:
        embed_parts(saved.point_model, plan, numbers, refuse, advance, unmeasured=left_out.count)
    left_out.tell()
    tell_passed_over(found)
    own = len(range(shard.number, plan.count + 1, shard.count))
    print(
        f"parts: {options.out}, {len(numbers):,} made and {own - len(numbers):,} there before, of "
        f"{plan.count:,} in all shards"
    )
    merging = ("--ckpt", options.ckpt, "--merge", options.out, "--out", "embeddings.parquet")
    print(f"next, when all shards are done: {called('embed', *merging)}")


def _merge(options: argparse.Namespace) -> None:
    from pc_crvae.embedding.parts import merge_parts

    if options.places or options.data is not None:
        raise UserError("--merge joins parts that are there: leave out PATHs and --data")
    merged = merge_parts(options.merge, options.out)
    if merged.refused:
        tell(f"{merged.refused:,} files were refused when the parts were made")
    _tell(options, merged.vectors, merged.size, "QUERY")


def _of_split(options: argparse.Namespace) -> "Embeddings":
    from pc_crvae.embedding.index import About, CardSplit
    from pc_crvae.embedding.shapes import embeddings_of_clouds

    saved = open_saved(options)
    model = saved.point_model
    items = saved.clouds(options.split)
    available = items.points.shape[1]
    points = options.points or min(model.points, available)
    name = saved.data
    if Path(name).suffix in (".yaml", ".yml"):
        name = str(Path(name).absolute())
    root = None if saved.root is None else str(saved.root.expanduser().absolute())
    about = About(
        model_sha256=saved.weights_sha256,
        points=points,
        up=_up_of_split(saved),
        average_over=options.average_over,
        data=CardSplit(name=name, split=options.split, root=root),
    )
    clouds = (items.batch([row], points, "embed")[0] for row in range(len(items)))
    with counting("embedding", len(items)) as advance:
        return embeddings_of_clouds(model, clouds, items.ids, about, advance)


def _up_of_split(saved: "SavedModel") -> str:
    from pc_crvae.data import load_card
    from pc_crvae.data.facing import up_in_full

    card = load_card(saved.data)
    return up_in_full(saved.up, card.up or "z") if card.is_own else saved.up or card.up or "z"
