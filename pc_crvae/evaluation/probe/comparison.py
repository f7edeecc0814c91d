"""Whether one probe beats another on the very same test items: from reports and predictions."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pc_crvae.errors import UserError
from pc_crvae.evaluation.metrics import significance
from pc_crvae.evaluation.probe.predictions import (
    Predictions,
    load_predictions,
    predictions_path,
    row_name,
)
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.evaluation.reports import Part, Report
from pc_crvae.utils.invocation import called
from pc_crvae.utils.templates import filled


@dataclass(frozen=True)
class StoredProbe:
    """A report that `probe` wrote, and the predictions beside it.

    Attributes:
        path: the path of the report.
        found: what it holds.
        predictions: the predictions of its rows.
    """

    path: Path
    found: ProbeReport
    predictions: Predictions


class ComparedRow(Part):
    """How often two probes are right on the same items.

    Attributes:
        first: the row of the first probe.
        second: the row of the second.
        accuracies: the accuracies of both, in [0, 1].
        difference: first less second.
        interval: the interval of the difference, by the bootstrap over items and seeds.
        only_first_right: items, one per seed.
        only_second_right: items, one per seed.
        p_of_seeds: the p-value of the exact McNemar test, for each seed.
        p: the p-value of all seeds together.
    """

    first: str
    second: str
    accuracies: tuple[float, float]
    difference: float
    interval: tuple[float, float]
    only_first_right: tuple[int, ...]
    only_second_right: tuple[int, ...]
    p_of_seeds: tuple[float, ...]
    p: float


class Comparison(Report):
    """Two probes compared item by item.

    Attributes:
        first: the report whose lead is measured.
        second: the other.
        protocols: the protocols of both.
        level: the level of the intervals.
        method: the method of intervals and tests.
        note: a sentence that bears on the numbers.
    """

    first: str
    second: str
    protocols: tuple[str, str]
    test_items: int
    seeds: tuple[int, ...]
    rows: tuple[ComparedRow, ...]
    level: float
    method: str
    note: str | None = None


def read_probe(path: Path) -> StoredProbe:
    """Read a report, or that of a run's folder, and its predictions.

    Raises:
        UserError: there is none, it is not a probe's, or its predictions are missing or those
            of another report.
    """
    if path.is_dir():
        folder, path = path, path / "probe.json"
        if not path.is_file():
            line = called("probe", "--ckpt", folder)
            raise UserError(f"{folder} was not probed yet: {line} writes what is compared")
    report = ProbeReport.read(path)
    mean = {
        row_name(row.features, row.representation, row.setting): row.accuracies
        for row in report.rows + report.extra_rows
    }
    beside = predictions_path(path)
    if not beside.is_file():
        raise UserError(
            f"{beside} is missing, the predictions that are compared item by item: probe again, "
            "which writes it beside the report"
        )
    predictions = load_predictions(beside)
    if mean.keys() != predictions.rows.keys() or any(
        not np.allclose(predictions.correct(row).mean(axis=1), mean[row]) for row in mean
    ):
        raise UserError(f"{beside} holds predictions of another report than {path}: probe again")
    return StoredProbe(path, report, predictions)


def compare_probes(
    first: StoredProbe, second: StoredProbe, rows: tuple[str, str] | None = None
) -> Comparison:
    """Compare two probes item by item.

    Args:
        first: the one whose lead is measured.
        second: the other.
        rows: a row of each, such as ``trained.pooled.aligned``; by default each that both hold.

    Raises:
        UserError: other test items, other probe seeds, or no such rows.
    """
    ours, theirs = first.predictions, second.predictions
    if ours.items != theirs.items or not np.array_equal(ours.labels, theirs.labels):
        raise UserError(
            f"{first.path} and {second.path} were probed on different test items (their data "
            "hashes differ): probe both on the same data to compare them"
        )
    if not np.array_equal(ours.seeds, theirs.seeds):
        raise UserError(
            f"{first.path} has the probe seeds {ours.seeds.tolist()} and {second.path} "
            f"{theirs.seeds.tolist()}: probe both with the same seeds"
        )
    pairs = [rows] if rows else [(row, row) for row in ours.rows if row in theirs.rows]
    if not pairs:
        raise UserError(f"{first.path} and {second.path} have no row in common: name one of each")
    for probe, place in ((first, 0), (second, 1)):
        for pair in pairs:
            if pair[place] not in probe.predictions.rows:
                known = ", ".join(probe.predictions.rows)
                raise UserError(f"{probe.path} has no row {pair[place]}, only {known}")
    protocols = first.found.protocol.name, second.found.protocol.name
    note = {}
    if protocols[0] != protocols[1]:
        note = {"note": f"different protocols, {protocols[0]} and {protocols[1]}"}
    return Comparison(
        first=str(first.path),
        second=str(second.path),
        protocols=protocols,
        test_items=len(ours.labels),
        seeds=tuple(ours.seeds.tolist()),
        rows=tuple(_compare(ours, theirs, *pair) for pair in pairs),
        level=significance.LEVEL,
        method="bootstrap percentile over test items and probe seeds; exact McNemar a seed, "
        "twice the mean p-value over several",
        **note,
    )


def format_comparison(compared: Comparison) -> str:
    """Lay a comparison out as plain text, in per cent."""
    return filled(__file__, "comparison.txt", compared=compared)


def _compare(ours: Predictions, theirs: Predictions, row: str, other: str) -> ComparedRow:
    right, right_too = ours.correct(row), theirs.correct(other)
    p_values = [
        significance.mcnemar_exact(*of_seed) for of_seed in zip(right, right_too, strict=True)
    ]
    return ComparedRow(
        first=row,
        second=other,
        accuracies=(float(right.mean()), float(right_too.mean())),
        **significance.paired_difference(right, right_too),
        only_first_right=tuple(np.count_nonzero(right & ~right_too, axis=1).tolist()),
        only_second_right=tuple(np.count_nonzero(right_too & ~right, axis=1).tolist()),
        p_of_seeds=tuple(p_values),
        p=significance.combined_p_value(p_values),
    )
