"""``embed``: vectors of one's own meshes and clouds, or of a data set's split, in one file."""

import argparse
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from pc_crvae.cli.saved import add_checkpoint_arguments, open_saved, up_axes
from pc_crvae.errors import UserError, printable
from pc_crvae.utils.files import require_writable
from pc_crvae.utils.resources import DEFAULT_MODEL
from pc_crvae.utils.up_axes import HELP

if TYPE_CHECKING:
    from pc_crvae.embedding.index import About, Embeddings
    from pc_crvae.runs.saved import SavedModel

FILES_A_PART = 1000

DESCRIPTION = "Embed one's own meshes and clouds, or a data set's split, as vectors in one file."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_checkpoint_arguments(parser, default=DEFAULT_MODEL)
    parser.add_argument(
        "places",
        nargs="*",
        type=Path,
        metavar="PATH",
        help="mesh or cloud files, or folders of them (any depth; hidden ones are left out)",
    )
    parser.add_argument(
        "--data",
        metavar="CARD",
        help="embed a split of this data set, a card's name or path (default: the PATHs given)",
    )
    parser.add_argument(
        "--split", choices=("train", "test"), default="test", help="of --data, which split"
    )
    parser.add_argument(
        "--data-root",
        type=Path,
        metavar="DIR",
        help="folder of --data (default: where the run found it)",
    )
    parser.add_argument(
        "--up",
        type=up_axes,
        metavar="AXIS",
        help=f"the axis that points up in the files: {HELP} (default: what the format or the file "
        "says, as glTF and COLLADA do; z for other PATHs, the card's for --data)",
    )
    parser.add_argument(
        "--points",
        type=int,
        help="points drawn of each shape, fixed by what the file holds; a cloud that has fewer is "
        "taken as it is (default: as many as the model was trained with)",
    )
    parser.add_argument(
        "--average-over",
        metavar="GROUP",
        help="vectors that depend less on how shapes face: means over each shape's copies turned "
        "by a group, which takes as many passes. C12: twelve even turns about the vertical; O: the "
        "24 turns of the cube, for shapes on any side; also Cn, T, I (default: one pass)",
    )
    parser.add_argument(
        "--drop-nan",
        action="store_true",
        help="leave out points of clouds that are NaN or infinite, and count them; otherwise such "
        "clouds are refused",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="write nothing and fail if any file is refused; otherwise refused files are named "
        "and left out, and it fails only if none is left",
    )
    parser.add_argument(
        "--shard",
        metavar="I/N",
        help="embed a share of the PATHs, the I-th of N from 1, in parts of so many files "
        "that are written to the folder --out; parts that are there and whole are left as they "
        "are (default: all at once)",
    )
    parser.add_argument(
        "--part-files", type=int, default=FILES_A_PART, help="of --shard: the files of a part"
    )
    parser.add_argument(
        "--merge",
        type=Path,
        metavar="DIR",
        help="join the parts that shards wrote to this folder; no PATHs then (default: none)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="what to write: .npz, or .parquet where pyarrow is installed; with --shard, a folder",
    )


def run(options: argparse.Namespace) -> None:
    """Embed."""
    from pc_crvae.embedding.index import check_points, check_suffix
    from pc_crvae.embedding.rotation_average import check_group

    if options.average_over is not None:
        check_group(options.average_over, "--average-over")
    check_points(options.points, "--points")
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
    _tell(options, *embeddings.vectors.shape)


def _tell(options: argparse.Namespace, count: int, size: int) -> None:
    print(f"embeddings: {options.out}, {count:,} vectors of {size} numbers")
    print(
        f"next: python tools/search.py --ckpt {quote(str(options.ckpt))} "
        f"--index {quote(str(options.out))} QUERY, "
        "a file or an id"
    )


def refuse(reason: str) -> None:
    """Name a file that is left out, and why."""
    print(f"refused: {printable(reason)}", file=sys.stderr)


def _of_files(options: argparse.Namespace) -> "Embeddings":
    from pc_crvae.cli.counting import counting
    from pc_crvae.data.formats.other_kinds import tell_passed_over
    from pc_crvae.data.readers.shape_files import find_shapes
    from pc_crvae.embedding.shapes import embeddings_of_files

    found = find_shapes(options.places)
    files = found.files
    saved = open_saved(options)
    left_out: list[int] = []
    unmeasured = left_out.append if options.drop_nan else None
    with counting("embedding", len(files)) as advance:
        embeddings = embeddings_of_files(
            saved.point_model,
            files,
            _about(options, saved),
            refuse,
            advance,
            unmeasured=unmeasured,
        )
    tell_left_out(left_out)
    for line in tell_passed_over(found.passed_over):
        print(line, file=sys.stderr)
    refused = len(files) - len(embeddings)
    if refused and options.strict:
        raise UserError(
            f"{refused} of {len(files)} files were refused: nothing is written, by --strict"
        )
    if refused:
        print(f"{refused} of {len(files)} files were refused, see above", file=sys.stderr)
    return embeddings


def _about(options: argparse.Namespace, saved: "SavedModel") -> "About":
    from pc_crvae.data.facing import up_in_full
    from pc_crvae.embedding.index import About

    return About(
        model_sha256=saved.weights_sha256,
        points=options.points or saved.point_model.points,
        up=up_in_full(options.up),
        average_over=options.average_over,
    )


def tell_left_out(left_out: list[int]) -> None:
    """Tell how many points of clouds were left out."""
    if left_out:
        print(
            f"left out: {sum(left_out):,} points that are NaN or infinite, of {len(left_out):,} "
            "clouds",
            file=sys.stderr,
        )


def _embed_shard(options: argparse.Namespace) -> None:
    from pc_crvae.cli.counting import counting
    from pc_crvae.data.formats.other_kinds import tell_passed_over
    from pc_crvae.data.readers.shape_files import find_shapes
    from pc_crvae.embedding.parquet import require_pyarrow
    from pc_crvae.embedding.parts import Plan, embed_parts, missing_parts, parse_shard

    shard = parse_shard(options.shard)
    if options.data is not None or options.merge is not None or options.strict:
        raise UserError("--shard is for PATHs alone: leave out --data, --merge and --strict")
    if not options.places:
        raise UserError("name files and folders to embed")
    if options.part_files < 1:
        raise UserError(f"--part-files must be at least 1, not {options.part_files}")
    require_pyarrow(options.out)
    require_writable(options.out / "part")
    found = find_shapes(options.places)
    saved = open_saved(options)
    plan = Plan(found.files, _about(options, saved), options.out, options.part_files)
    numbers = missing_parts(plan, shard, lambda text: print(printable(text), file=sys.stderr))
    left_out: list[int] = []
    unmeasured = left_out.append if options.drop_nan else None
    with counting("embedding", sum(len(plan.of_part(number)) for number in numbers)) as advance:
        embed_parts(saved.point_model, plan, numbers, refuse, advance, unmeasured=unmeasured)
    tell_left_out(left_out)
    for line in tell_passed_over(found.passed_over):
        print(line, file=sys.stderr)
    own = len(range(shard.number, plan.count + 1, shard.count))
    print(
        f"parts: {options.out}, {len(numbers):,} made and {own - len(numbers):,} there before, of "
        f"{plan.count:,} in all shards"
    )
    print(
        f"next, when all shards are done: python tools/embed.py --ckpt {quote(str(options.ckpt))} "
        f"--merge {quote(str(options.out))} --out embeddings.parquet"
    )


def _merge(options: argparse.Namespace) -> None:
    from pc_crvae.embedding.parts import merge_parts

    if options.places or options.data is not None:
        raise UserError("--merge joins parts that are there: leave out PATHs and --data")
    merged = merge_parts(options.merge, options.out)
    if merged.refused:
        print(f"{merged.refused:,} files were refused when the parts were made", file=sys.stderr)
    _tell(options, merged.vectors, merged.size)


def _of_split(options: argparse.Namespace) -> "Embeddings":
    from pc_crvae.cli.counting import counting
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
    about = About(
        model_sha256=saved.weights_sha256,
        points=points,
        up=_up_of_split(saved),
        average_over=options.average_over,
        data=CardSplit(
            name=name,
            split=options.split,
            root=None if saved.root is None else str(saved.root.expanduser().absolute()),
        ),
    )
    clouds = (items.batch([row], points, "embed")[0] for row in range(len(items)))
    with counting("embedding", len(items)) as advance:
        return embeddings_of_clouds(model, clouds, items.ids, about, advance)


def _up_of_split(saved: "SavedModel") -> str:
    from pc_crvae.data import load_card
    from pc_crvae.data.facing import up_in_full

    card = load_card(saved.data)
    return up_in_full(saved.up, card.up or "z") if card.is_own else saved.up or card.up or "z"
