"""The probe on the validation split, for choices that must not see the test split.

A step of ``study``, run as ``python -m pc_crvae.cli.validation_probe RUN``: no command of its
own, since what is told of a model is told of the test split.
"""

import argparse
import sys
from pathlib import Path

from pc_crvae.errors import UserError
from pc_crvae.utils.files import require_writable


def main(arguments: list[str] | None = None) -> int:
    """Probe a run on its validation split and return the exit status."""
    parser = argparse.ArgumentParser(description="Probe a run on its validation split.")
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--json", type=Path, required=True, help="where the report goes")
    parser.add_argument("--protocol", default="ours", help="as for probe")
    parser.add_argument("--seeds", type=int, help="as for probe")
    parser.add_argument("--no-training-free", action="store_true", help="as for probe")
    options = parser.parse_args(arguments)
    try:
        _probe(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _probe(options: argparse.Namespace) -> None:
    from pc_crvae.evaluation.encoders import probe_model
    from pc_crvae.evaluation.probe.predictions import predictions_path, save_predictions
    from pc_crvae.evaluation.probe.protocol import changed, load_protocol
    from pc_crvae.evaluation.probe.table import format_table
    from pc_crvae.runs.saved import SavedModel

    report_path: Path = options.json
    saved = SavedModel.open(options.run, device="auto")
    protocol = load_protocol(options.protocol)
    if options.seeds is not None:
        protocol = changed(protocol, "--seeds", seeds=list(range(options.seeds)))
    if options.no_training_free:
        protocol = changed(protocol, "--no-training-free", training_free=False)
    require_writable(report_path)
    train_set, validation_set = saved.training_splits()
    probed = probe_model(saved.model, train_set, validation_set, protocol, progress=print)
    report = probed.report.of_model(saved.folder, "last", saved.model.data, saved.weights_sha256)
    report.write(report_path)
    save_predictions(probed.predictions, predictions_path(report_path))
    print(format_table(report))


if __name__ == "__main__":
    sys.exit(main())
