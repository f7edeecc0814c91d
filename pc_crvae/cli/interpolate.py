"""``interpolate``: shapes along paths between latents, as a strip, a page or a window."""

import argparse
from pathlib import Path

from pc_crvae.cli.saved import add_model_arguments, open_saved, reports_of
from pc_crvae.errors import UserError
from pc_crvae.utils.files import require_writable

DESCRIPTION = "Walk between two shapes' latents, as a picture strip, a web page or a window."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_model_arguments(parser)
    parser.add_argument(
        "--from",
        dest="start",
        metavar="ID",
        help="test shape to start from (default: shapes of different classes, drawn by --seed)",
    )
    parser.add_argument(
        "--to", dest="end", metavar="ID", help="test shape to end at (default: see --from)"
    )
    parser.add_argument(
        "--pairs", type=int, default=2, help="pairs of test shapes, where none is named"
    )
    parser.add_argument(
        "--random",
        type=int,
        help="pairs of latents drawn from the prior (default: 1, or 0 where shapes are named or "
        "the model is a plain auto-encoder, which has no prior)",
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=9,
        help="shapes of a strip, both ends included; the page has three more between any two",
    )
    parser.add_argument(
        "--kind",
        choices=("spherical", "linear"),
        default="spherical",
        help="path through the latent space",
    )
    parser.add_argument("--seed", type=int, default=0, help="fixes what is drawn")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the pictures and the page (default: interpolation in --ckpt's folder)",
    )
    parser.add_argument(
        "--renderer",
        choices=("auto", "open3d", "matplotlib"),
        default="auto",
        help="what draws the strip; auto: Open3D where it can, else matplotlib",
    )
    parser.add_argument("--view", action="store_true", help="also open an Open3D window")


def run(options: argparse.Namespace) -> None:
    """Interpolate."""
    out: Path = options.out or reports_of(options.ckpt) / "interpolation"
    start, end = options.start, options.end
    if (start is None) != (end is None):
        raise UserError("--from and --to go together: name both shapes, or neither")
    if options.steps < 2:
        raise UserError(f"--steps must be at least 2, both ends included, not {options.steps}")
    if options.pairs < 0 or (options.random or 0) < 0:
        raise UserError("--pairs and --random must not be negative")
    saved = open_saved(options)
    require_writable(out / "strip-1.png")

    from pc_crvae.report.interpolation import paths_between, write_strips
    from pc_crvae.visualization.pages import interpolation_page

    paths = paths_between(
        saved.point_vae,
        saved.clouds("test"),
        named=None if start is None or end is None else (start, end),
        pairs=options.pairs,
        random=options.random,
        steps=options.steps,
        kind=options.kind,
        seed=options.seed,
    )
    for strip, how in write_strips(paths, out, options.renderer):
        print(f"strip: {strip} ({how})")
    page = out / "interpolation.html"
    interpolation_page(paths, page)
    print(f"page: {page}")
    if options.view:
        from pc_crvae.visualization.window import show_interpolation

        show_interpolation(paths)
