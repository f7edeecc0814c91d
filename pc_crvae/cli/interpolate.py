"""``interpolate``: shapes along paths between latents, as a strip, a page or a window."""

import argparse
from pathlib import Path

from pc_crvae.cli.endings import tell_files
from pc_crvae.cli.options import add_count, add_model_and_data, add_out, add_seed
from pc_crvae.cli.saved import open_saved, reports_of
from pc_crvae.errors import UserError
from pc_crvae.utils.files import require_writable
from pc_crvae.utils.invocation import called

DESCRIPTION = "Walk between two shapes' latents, as a picture strip, a web page or a window."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_model_and_data(parser)
    parser.add_argument("--from", dest="start", metavar="ID")
    parser.add_argument("--to", dest="end", metavar="ID")
    add_count(parser, "--pairs", default=2, least=0)
    add_count(parser, "--random", least=0)
    add_count(parser, "--steps", default=9, least=2)
    parser.add_argument("--kind", choices=("spherical", "linear"), default="spherical")
    add_seed(parser)
    add_out(parser, "folder of the pictures and the page", "interpolation in --ckpt's folder")
    parser.add_argument("--renderer", choices=("auto", "open3d", "matplotlib"), default="auto")
    parser.add_argument("--view", action="store_true")


def run(options: argparse.Namespace) -> None:
    """Interpolate."""
    out: Path = options.out or reports_of(options.ckpt) / "interpolation"
    start, end = options.start, options.end
    if (start is None) != (end is None):
        raise UserError("--from and --to go together: name both shapes, or neither")
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
    for path, (strip, how) in zip(paths, write_strips(paths, out, options.renderer), strict=True):
        print(f"strip: {strip} ({how}): {path.title}")
    page = out / "interpolation.html"
    interpolation_page(paths, page)
    print(
        f"{len(paths)} ways through the codes, each point of which is decoded to a shape. Where "
        "the shapes between two ends look like shapes too, codes that are near mean shapes that "
        "are alike."
    )
    tell_files({"page": (page, "open this first: a slider from shape to shape, to be turned")})
    line = called("report", "--ckpt", options.ckpt)
    print(f"next, all of the run on one page: {line}")
    if options.view:
        from pc_crvae.visualization.window import show_interpolation

        show_interpolation(paths)
