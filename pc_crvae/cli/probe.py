"""``probe``: how good a frozen representation is, beside those that were never trained."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.cli.endings import embed_line, tell_files
from pc_crvae.cli.options import (
    add_count,
    add_held_out,
    add_model_and_data,
    add_shared,
    add_untrained,
)
from pc_crvae.cli.saved import check_table, deliver_table, open_saved, report_path
from pc_crvae.errors import UserError
from pc_crvae.utils.files import require_writable
from pc_crvae.utils.invocation import called

if TYPE_CHECKING:
    from pc_crvae.data import ItemSet
    from pc_crvae.evaluation.probe.cross_validation import CrossValidation
    from pc_crvae.evaluation.probe.predictions import Predictions
    from pc_crvae.evaluation.probe.protocol import ProbeProtocol
    from pc_crvae.evaluation.probe.report import ProbeReport
    from pc_crvae.runs.saved import SavedModel

DESCRIPTION = (
    "Score frozen features by linear SVMs: the trained encoder, untrained ones and a descriptor."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_model_and_data(parser, required=False)
    parser.add_argument("--features", nargs=2, type=Path, metavar=("TRAIN", "TEST"))
    parser.add_argument("--protocol", default="ours", metavar="NAME|FILE")
    add_held_out(parser)
    add_shared(parser, "--json")
    add_count(parser, "--seeds")
    add_untrained(parser, "the protocol's, calibrated unless it says otherwise")
    parser.add_argument("--no-training-free", action="store_true")
    parser.add_argument("--cross-validate", action="store_true")
    add_count(parser, "--cv-repeats")
    add_count(parser, "--cv-folds", least=2)
    add_shared(parser, "--table", "--figures")


def run(options: argparse.Namespace) -> None:
    """Probe."""
    from pc_crvae.evaluation.probe.protocol import changed, load_protocol

    if (options.ckpt is None) == (options.features is None):
        raise UserError(
            "give either --ckpt, a trained model, or --features, two files of features"
            + (", not both" if options.ckpt is not None else "")
        )
    check_table(options)
    protocol = load_protocol(options.protocol)
    if options.seeds is not None:
        protocol = changed(protocol, "--seeds", seeds=list(range(options.seeds)))
    if options.no_training_free:
        protocol = changed(protocol, "--no-training-free", training_free=False)
    if options.features is not None:
        _probe_features(options, protocol)
    else:
        _probe_model(options, protocol)


def _cross_validation(options: argparse.Namespace) -> "CrossValidation | None":
    from pc_crvae.evaluation.probe.cross_validation import CrossValidation

    asked = {"repeats": options.cv_repeats, "folds": options.cv_folds}
    given = {key: value for key, value in asked.items() if value is not None}
    for key in given:
        if not options.cross_validate:
            raise UserError(
                f"--cv-{key} goes with --cross-validate, which was not asked for: add it"
            )
    return CrossValidation(**given) if options.cross_validate else None


def _probe_features(options: argparse.Namespace, protocol: "ProbeProtocol") -> None:
    given = {
        "--data": options.data,
        "--data-root": options.data_root,
        "--up": options.up,
        "--untrained": options.untrained,
        "--split validation": options.split == "validation" or None,
    }
    for option, value in given.items():
        if value is not None:
            raise UserError(f"{option} needs a model, and --features has none: omit it")
    from pc_crvae.evaluation.probe.features import probe_arrays, read_features

    require_writable(options.json)
    train, test = options.features
    sets = *read_features(train), *read_features(test)
    folds = _cross_validation(options)
    probed = probe_arrays(*sets, protocol=protocol, progress=print, cross_validation=folds)
    files = {"train": str(train), "test": str(test)}
    report = probed.report.model_copy(update={"files": files})
    _deliver(report, probed.predictions, options.json, options)


def _probe_model(options: argparse.Namespace, protocol: "ProbeProtocol") -> None:
    cross_validation = _cross_validation(options)
    saved = open_saved(options)
    path = report_path(options, "probe")
    require_writable(path)
    train_set, test_set = saved.splits(options.split)
    if train_set.labels is None or test_set.labels is None:
        line = embed_line(options.ckpt, saved.data, options.data_root)
        print(f"{train_set.name} has no labels, so there is nothing to probe; next: {line}")
        return

    from pc_crvae.evaluation.encoders import probe_model

    probed = probe_model(
        saved.model,
        train_set,
        test_set,
        protocol,
        progress=print,
        untrained=options.untrained,
        cross_validation=cross_validation,
    )
    transfer = _is_transfer(saved, train_set)
    if transfer:
        print(f"trained on {saved.trained_on}, probed on {train_set.name}")
    report = probed.report.of_model(saved, options.which)
    _deliver(report.model_copy(update={"transfer": transfer}), probed.predictions, path, options)


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
    from pc_crvae.evaluation.probe.words import columns_in_words, in_words
    from pc_crvae.visualization.pictures import confusion_matrix

    print(f"\n{format_table(report)}\n")
    if words := in_words(report):
        print(f"{columns_in_words(report)}\n\n{words}\n")
    if path is None:
        deliver_table(options, lambda: table_of_probe(report))
        return
    report.write(path)
    save_predictions(predictions, predictions_path(path))
    files = {
        "report": (path, "every figure above, with the protocol"),
        "predictions": (predictions_path(path), "the answer for each item, which compare reads"),
    }
    if report.confusion is not None:
        picture = path.with_name(f"{path.stem}-confusion.{options.figures}")
        counts = np.array(report.confusion.matrix)
        seeds = len(report.protocol.seeds)
        confusion_matrix(counts, report.confusion.classes, picture, draws=seeds)
        files["confusion matrix"] = picture, "open this first: which classes it takes for which"
    tell_files(files)
    deliver_table(options, lambda: table_of_probe(report))
    if options.ckpt is not None:
        print(f"next, all of the run on one page: {called('report', '--ckpt', options.ckpt)}")
