"""Whether one probe beats another on the very same test items: from reports and predictions."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pc_crvae.errors import UserError
from pc_crvae.evaluation.metrics.significance import (
    LEVEL,
    combined_p_value,
    mcnemar_exact,
    paired_difference,
)
from pc_crvae.evaluation.probe.predictions import (
    Predictions,
    load_predictions,
    predictions_path,
    row_name,
)


@dataclass(frozen=True)
class StoredProbe:
    """A report that `probe` wrote, and the predictions beside it.

    Attributes:
        path: of the report.
        report: its values.
        predictions: of its rows.
    """

    path: Path
    report: dict[str, Any]
    predictions: Predictions


def read_probe(path: Path) -> StoredProbe:
    """Read a report, or that of a run's folder, and its predictions.

    Raises:
        UserError: there is none, it is not a probe's, or its predictions are missing or those
            of another report.
    """
    if path.is_dir():
        path = path / "probe.json"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        rows = report["rows"] + report["extra_rows"]
        mean = {row_name(*(row[key] for key in _ROW_KEYS)): row["accuracies"] for row in rows}
        report["protocol"]["name"]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is not a report that probe wrote") from None
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
) -> dict[str, Any]:
    """Compare two probes item by item.

    Args:
        first: the one whose lead is measured.
        second: the other.
        rows: one of each, such as ``trained.pooled.aligned``; by default each that both hold.

    Returns:
        A report ready for JSON, ``rows`` with both accuracies, the ``difference`` with its
        bootstrap ``interval`` over items and seeds, and the exact McNemar ``p``.

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
            f"{theirs.seeds.tolist()}: probe both with the same --seeds"
        )
    pairs = [rows] if rows else [(row, row) for row in ours.rows if row in theirs.rows]
    if not pairs:
        raise UserError(
            f"{first.path} and {second.path} have no row in common: name one of each with --rows"
        )
    for probe, place in ((first, 0), (second, 1)):
        for pair in pairs:
            if pair[place] not in probe.predictions.rows:
                known = ", ".join(probe.predictions.rows)
                raise UserError(f"{probe.path} has no row {pair[place]}, only {known}")
    protocols = [probe.report["protocol"]["name"] for probe in (first, second)]
    compared = {
        "first": str(first.path),
        "second": str(second.path),
        "protocols": protocols,
        "test_items": len(ours.labels),
        "seeds": ours.seeds.tolist(),
        "rows": [_compare(ours, theirs, *pair) for pair in pairs],
        "level": LEVEL,
        "method": "bootstrap percentile over test items and probe seeds; exact McNemar a seed, "
        "twice the mean p-value over several",
    }
    if protocols[0] != protocols[1]:
        compared["note"] = f"different protocols, {protocols[0]} and {protocols[1]}"
    return compared


def format_comparison(compared: dict[str, Any]) -> str:
    """Lay a comparison out as plain text, in per cent."""
    lines = [f"A: {compared['first']}\nB: {compared['second']}"]
    for row in compared["rows"]:
        names = " / ".join(dict.fromkeys((row["first"], row["second"])))
        low, high = row["interval"]
        lines.append(
            f"{names}: A {100 * row['accuracies'][0]:.1f}, B {100 * row['accuracies'][1]:.1f}, "
            f"A less B {100 * row['difference']:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}], "
            f"McNemar p = {row['p']:.3g}"
        )
    if "note" in compared:
        lines.append(f"note: {compared['note']}")
    return "\n".join(lines)


_ROW_KEYS = ("features", "representation", "setting")


def _compare(ours: Predictions, theirs: Predictions, row: str, other: str) -> dict[str, Any]:
    right, right_too = ours.correct(row), theirs.correct(other)
    difference = paired_difference(right, right_too)
    p_values = [mcnemar_exact(*of_seed) for of_seed in zip(right, right_too, strict=True)]
    return {
        "first": row,
        "second": other,
        "accuracies": [float(right.mean()), float(right_too.mean())],
        "difference": difference.mean,
        "interval": [difference.low, difference.high],
        "only_first_right": np.count_nonzero(right & ~right_too, axis=1).tolist(),
        "only_second_right": np.count_nonzero(right_too & ~right, axis=1).tolist(),
        "p_of_seeds": p_values,
        "p": combined_p_value(p_values),
    }
