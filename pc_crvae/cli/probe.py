"""``probe``: how good a frozen representation is, beside those that were never trained."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.cli.saved import (
    add_figures_argument,
    add_model_arguments,
    add_table_argument,
    add_untrained_argument,
    check_table,
    deliver_table,
    open_saved,
    reports_of,
)
from pc_crvae.errors import UserError
from pc_crvae.utils.files import require_writable

if TYPE_CHECKING:
    from pc_crvae.data import ItemSet
    from pc_crvae.evaluation.probe.cross_validation import CrossValidation
    from pc_crvae.evaluation.probe.predictions import Predictions
    from pc_crvae.evaluation.probe.protocol import ProbeProtocol
    from pc_crvae.evaluation.probe.report import ProbeReport
    from pc_crvae.runs.saved import SavedModel

DESCRIPTION = (
    "Fit linear SVMs on frozen features: of the trained encoder, the untrained, and a descriptor."
)

_MODEL_OPTIONS = {"data": "--data", "data_root": "--data-root", "up": "--up"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_model_arguments(parser, required=False)
    parser.add_argument(
        "--features",
        nargs=2,
        type=Path,
        metavar=("TRAIN", "TEST"),
        help="instead of --ckpt: .npz files with the arrays features (n, d) and labels (n,), "
        "whoever made them (default: those of the model)",
    )
    parser.add_argument(
        "--protocol",
        default="ours",
        metavar="NAME|FILE",
        help="how it is probed: ours; ours-full, with other classifiers, few labels, few shots and "
        "clusters; averaged-z or averaged-so3, each shape seen from all sides; as others publish, "
        "crosspoint, crosspoint-few-shot, occo, point-mae or strl; or a YAML file",
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="where the report goes, predictions and confusion matrix beside it "
        "(default: probe.json in --ckpt's folder; with --features it is only printed)",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        help="probe seeds: point draws, rotations, initialisations (default: the protocol's, "
        "3 of ours)",
    )
    add_untrained_argument(parser, "the protocol's, calibrated unless it says otherwise")
    parser.add_argument(
        "--no-training-free",
        action="store_true",
        help="leave out the row of the strongest descriptor, which costs more than the other rows",
    )
    parser.add_argument(
        "--cross-validate",
        action="store_true",
        help="a second estimate of every row, with intervals: stratified folds within the training "
        "split, repeated",
    )
    parser.add_argument("--cv-repeats", type=int, help="how often (default: 3)")
    parser.add_argument("--cv-folds", type=int, help="into how many folds (default: 5)")
    add_table_argument(parser)
    add_figures_argument(parser)


def run(options: argparse.Namespace) -> None:
    """Probe."""
    from pc_crvae.evaluation.probe.protocol import changed, load_protocol

    if (options.ckpt is None) == (options.features is None):
        raise UserError(
            "give either --ckpt, a trained model, or --features, two files of features"
            + (", not both" if options.ckpt is not None else "")
        )
    check_table(options)
    seeds = options.seeds
    if seeds is not None and seeds < 1:
        raise UserError(f"--seeds must be at least 1, not {seeds}")
    protocol = load_protocol(options.protocol)
    if seeds is not None:
        protocol = changed(protocol, "--seeds", seeds=list(range(seeds)))
    if options.no_training_free:
        protocol = changed(protocol, "--no-training-free", training_free=False)
    if options.features is not None:
        _probe_features(options, protocol)
    else:
        _probe_model(options, protocol)


def _cross_validation(options: argparse.Namespace) -> "CrossValidation | None":
    from pc_crvae.evaluation.probe.cross_validation import CrossValidation

    asked = {}
    for key, least in (("repeats", 1), ("folds", 2)):
        value = getattr(options, f"cv_{key}")
        if value is None:
            continue
        if not options.cross_validate:
            raise UserError(
                f"--cv-{key} is about --cross-validate, which was not asked for: add it"
            )
        if value < least:
            raise UserError(f"--cv-{key} must be at least {least}, not {value}")
        asked[key] = value
    return CrossValidation(**asked) if options.cross_validate else None


def _probe_features(options: argparse.Namespace, protocol: "ProbeProtocol") -> None:
    for name, option in _MODEL_OPTIONS.items():
        if getattr(options, name) is not None:
            raise UserError(f"{option} is about a model's data, and --features has none: omit it")
    if options.untrained is not None:
        raise UserError(
            "--untrained is about the untrained encoders beside a model, and --features has none: "
            "omit it"
        )
    from pc_crvae.evaluation.probe.features import probe_arrays, read_features

    if options.json is not None:
        require_writable(options.json)
    train, test = options.features
    probed = probe_arrays(
        *read_features(train),
        *read_features(test),
        protocol=protocol,
        progress=print,
        cross_validation=_cross_validation(options),
    )
    files = {"train": str(train), "test": str(test)}
    report = probed.report.model_copy(update={"files": files})
    _deliver(report, probed.predictions, options.json, options)


def _probe_model(options: argparse.Namespace, protocol: "ProbeProtocol") -> None:
    cross_validation = _cross_validation(options)
    saved = open_saved(options)
    path = options.json or reports_of(options.ckpt) / "probe.json"
    require_writable(path)
    train_set, test_set = saved.split("train"), saved.split("test")
    if train_set.labels is None or test_set.labels is None:
        print(f"{train_set.name} has no labels, so there is nothing to probe; next: tools/embed.py")
        return

    from pc_crvae.evaluation.encoders import probe_model

    splits = train_set, test_set
    probed = probe_model(
        saved.model,
        *splits,
        protocol,
        progress=print,
        untrained=options.untrained,
        cross_validation=cross_validation,
    )
    trained_on, sha256 = saved.model.data, saved.weights_sha256
    report = probed.report.of_model(saved.folder, options.which, trained_on, sha256)
    transfer = _is_transfer(saved, train_set)
    if transfer:
        print(f"trained on {saved.trained_on}, probed on {train_set.name}")
    report = report.model_copy(update={"transfer": transfer})
    _deliver(report, probed.predictions, path, options)


def _is_transfer(saved: "SavedModel", probed: "ItemSet") -> bool:
    """Whether the model was trained on another set than it is probed on."""
    from pc_crvae.data import load_card

    trained_on = saved.model.data.get("name")
    if saved.data == trained_on:
        return False
    if trained_on is None or not Path(trained_on).suffix:
        return trained_on != probed.name
    # A card of one's own went by its path, which need not be here any more.
    return not Path(trained_on).is_file() or load_card(trained_on).name != probed.name


def _deliver(
    report: "ProbeReport",
    predictions: "Predictions",
    path: Path | None,
    options: argparse.Namespace,
) -> None:
    import numpy as np

    from pc_crvae.evaluation.probe.paper import table_of_probe
    from pc_crvae.evaluation.probe.predictions import predictions_path, save_predictions
    from pc_crvae.evaluation.probe.table import format_table
    from pc_crvae.evaluation.probe.words import in_words
    from pc_crvae.visualization.pictures import confusion_matrix

    told = [text for text in (format_table(report), in_words(report)) if text]
    if path is not None:
        report.write(path)
        save_predictions(predictions, predictions_path(path))
        told.append(f"report: {path}\npredictions: {predictions_path(path)}")
    if path is not None and report.confusion is not None:
        picture = path.with_name(f"{path.stem}-confusion.{options.figures}")
        counts = np.array(report.confusion.matrix)
        seeds = len(report.protocol.seeds)
        confusion_matrix(counts, report.confusion.classes, picture, draws=seeds)
        told.append(f"confusion matrix: {picture}")
    print("\n".join(told))
    deliver_table(options, lambda: table_of_probe(report))
