"""``curves``: draw what runs recorded while they trained, against time."""

import argparse
from pathlib import Path

from pc_crvae.cli.options import add_out
from pc_crvae.utils.files import require_writable

DESCRIPTION = "Draw what runs recorded while they trained, against minutes of training."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--of", default="probe_accuracy", metavar="NAME")
    parser.add_argument("--split", choices=("train", "validation"), default="validation")
    add_out(parser, "a .png, .svg or .pdf file", None, "FILE")


def run(options: argparse.Namespace) -> None:
    """Draw."""
    from pc_crvae.errors import UserError
    from pc_crvae.runs.record import read_curve
    from pc_crvae.visualization.curves import Line, plot_curves

    if options.out.suffix not in (".png", ".svg", ".pdf"):
        raise UserError(f"--out {options.out} must end in .png, .svg or .pdf")
    require_writable(options.out)
    curves = [read_curve(folder, options.of, options.split) for folder in options.runs]
    lines = [Line(curve.minutes, curve.values, curve.name) for curve in curves]
    plot_curves(lines, f"{options.split} {options.of}", options.out)
    for curve in curves:
        print(f"{curve.name}: {curve.values[-1]:.4g} after {curve.minutes[-1]:.1f} minutes")
    print(f"curves: {options.out}")
