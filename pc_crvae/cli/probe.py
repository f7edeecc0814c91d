"""``probe``: how good a frozen representation is, beside that of the untrained encoder."""

import argparse
import json
from pathlib import Path

from pc_crvae.cli.saved import add_model_arguments, load_saved, load_split
from pc_crvae.errors import UserError

DESCRIPTION = "Fit linear SVMs on frozen features, of the trained and the untrained encoder."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_model_arguments(parser)
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="where the report goes, the confusion matrix beside it "
        "(default: probe.json in --ckpt's folder)",
    )
    parser.add_argument(
        "--seeds", type=int, default=3, help="probe seeds: point draws, rotations, initialisations"
    )


def run(options: argparse.Namespace) -> None:
    """Probe."""
    if options.seeds < 1:
        raise UserError(f"--seeds must be at least 1, not {options.seeds}")
    report_path: Path = getattr(options, "json", options.ckpt / "probe.json")
    saved = load_saved(options)
    train_set, test_set = load_split(saved, "train"), load_split(saved, "test")
    if train_set.labels is None or test_set.labels is None:
        print(f"{train_set.name} has no labels, so there is nothing to probe; next: tools/embed.py")
        return

    from pc_crvae.evaluation.encoders import encoder_of, untrained_like
    from pc_crvae.evaluation.probe import ProbeProtocol, format_table, run_probe
    from pc_crvae.files import atomic_path
    from pc_crvae.models.points.vae import PointVAE
    from pc_crvae.visualization.pictures import confusion_matrix

    seeds = tuple(range(options.seeds))
    if isinstance(saved.model, PointVAE):
        available = (items.array.shape[1] for items in (train_set, test_set))
        protocol = ProbeProtocol(points=min(saved.model.points, *available), seeds=seeds)
    else:
        protocol = ProbeProtocol(
            points=None, seeds=seeds, settings=("aligned",), representations=("mean",)
        )
    report = run_probe(
        encoder_of(saved.model),
        lambda seed: encoder_of(untrained_like(saved.model, seed)),
        train_set,
        test_set,
        protocol,
        progress=print,
    )
    report["checkpoint"] = {"path": str(saved.folder), "which": options.which}
    report["trained_on"] = saved.model.data
    with atomic_path(report_path) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n")
    picture = report_path.with_name(f"{report_path.stem}-confusion.png")
    confusion_matrix(report["confusion"]["matrix"], report["confusion"]["classes"], picture)
    print(format_table(report))
    print(f"report: {report_path}\nconfusion matrix: {picture}")
