"""What a probe reports: its scores over the probe seeds, as plain numbers and as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.items import ItemSet
from pc_crvae.evaluation.linear_probe import Labels, accuracy, class_mean_accuracy
from pc_crvae.evaluation.paired import LEVEL, paired_difference
from pc_crvae.evaluation.retrieval import Retrieval

SETTINGS = {"aligned": "aligned", "z": "z", "so3": "SO(3)"}
REPRESENTATIONS = {"mean": "posterior_mean", "pooled": "pooled"}
FEATURES = ("trained", "untrained")


@dataclass(frozen=True)
class Outcome:
    """One classifier's predictions for the test shapes, and what they retrieve, by setting.

    Nothing is retrieved where no class has two test shapes.
    """

    predictions: dict[str, Labels]
    retrieved: dict[str, Retrieval]
    c: float
    converged: bool
    dimensions: int


def score(
    features: str,
    setting: str,
    key: str,
    outcomes: Sequence[Outcome],
    test_labels: Labels,
    c_grid: Sequence[float],
) -> dict[str, Any]:
    """Score one encoder, representation and setting over the probe seeds."""
    predictions = [outcome.predictions[setting] for outcome in outcomes]
    accuracies = [accuracy(test_labels, predicted) for predicted in predictions]
    class_means = [class_mean_accuracy(test_labels, predicted) for predicted in predictions]
    row = {
        "features": features,
        "setting": setting,
        "representation": REPRESENTATIONS[key],
        "classifier": "linear_svm",
        "accuracy_mean": float(np.mean(accuracies)),
        "accuracy_std": float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else 0.0,
        "class_mean": float(np.mean(class_means)),
        "accuracies": accuracies,
        "class_means": class_means,
        "c": [outcome.c for outcome in outcomes],
        "dimensions": outcomes[0].dimensions,
    }
    notes = []
    if len(outcomes) == 1:
        notes.append("one probe seed: accuracy_std is 0 for want of a spread")
    if any(outcome.c == max(c_grid) for outcome in outcomes) and len(c_grid) > 1:
        notes.append("the largest C of the grid was chosen: a larger one might do better")
    if not all(outcome.converged for outcome in outcomes):
        notes.append("the SVM solver stopped at its iteration limit for some C")
    if notes:
        row["note"] = "; ".join(notes)
    return row


def score_retrieval(
    features: str, setting: str, key: str, outcomes: Sequence[Outcome]
) -> dict[str, Any]:
    """Score what one encoder, representation and setting retrieve, over the probe seeds."""
    found = [outcome.retrieved[setting] for outcome in outcomes]
    means = [one.mean_average_precision for one in found]
    return {
        "features": features,
        "setting": setting,
        "representation": REPRESENTATIONS[key],
        "mean_average_precision": float(np.mean(means)),
        "std": float(np.std(means, ddof=1)) if len(means) > 1 else 0.0,
        "of_seeds": means,
        "precision_at": {
            str(k): float(np.mean([one.precision_at[k] for one in found]))
            for k in found[0].precision_at
        },
        "queries": found[0].queries,
        "alone_in_their_class": found[0].alone,
    }


def compare_with_untrained(
    setting: str,
    key: str,
    outcomes: Mapping[tuple[str, str], Sequence[Outcome]],
    test_labels: Labels,
) -> dict[str, Any]:
    """Compare a trained representation with the strongest untrained one, shape by shape.

    The strongest is picked on these very shapes, which favours the untrained side.
    """

    def correct(features: str, representation: str) -> NDArray[np.bool_]:
        of_seeds = outcomes[features, representation]
        return np.array([outcome.predictions[setting] == test_labels for outcome in of_seeds])

    probed = [other for features, other in outcomes if features == "untrained"]
    strongest = max(probed, key=lambda other: correct("untrained", other).mean())
    difference = paired_difference(correct("trained", key), correct("untrained", strongest))
    return {
        "setting": setting,
        "trained": REPRESENTATIONS[key],
        "untrained": REPRESENTATIONS[strongest],
        "difference": difference.mean,
        "interval": [difference.low, difference.high],
        "level": LEVEL,
        "method": "bootstrap percentile, over test shapes and probe seeds",
    }


def confusion_counts(
    labels: Labels, predictions: Sequence[Labels], class_count: int
) -> list[list[int]]:
    """Count (true class, predicted class) over all of ``predictions``."""
    matrix = np.zeros((class_count, class_count), dtype=np.int64)
    for predicted in predictions:
        np.add.at(matrix, (labels, predicted), 1)
    counts: list[list[int]] = matrix.tolist()
    return counts


def describe_data(items: ItemSet) -> dict[str, Any]:
    """Name a split and its hash, so that a reader can tell whether they hold the same data."""
    _, *shape = items.array.shape
    of_each = {"points_available": shape[0]} if items.holds == "points" else {"shape": shape}
    return {
        "name": items.name,
        "split": items.split,
        "count": len(items),
        **of_each,
        "classes": list(items.classes),
        "sha256": items.fingerprint(),
    }


def format_table(report: dict[str, Any]) -> str:
    """Lay a report out as plain text: scores in per cent, mean and standard deviation."""
    settings = report["protocol"]["settings"]
    accuracies = {_key(row): _accuracy(row) for row in report["rows"] + report["extra_rows"]}
    precisions = {_key(row): _mean_average_precision(row) for row in report["retrieval"]}
    lines = [["", *(SETTINGS[setting] for setting in settings)], *_lines(accuracies, settings)]
    if precisions:
        title = "retrieval, mean average precision"
        lines += [[title, *("" for _ in settings)], *_lines(precisions, settings)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    compared = [
        f"trained {row['trained'].replace('_', ' ')} less the strongest untrained row "
        f"({row['untrained'].replace('_', ' ')}), {SETTINGS[row['setting']]}: "
        f"{100 * row['difference']:+.1f} [{100 * row['interval'][0]:+.1f}, "
        f"{100 * row['interval'][1]:+.1f}]"
        for row in report["paired"]
    ]
    return "\n".join(line.rstrip() for line in [*table, *compared])


def _key(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["features"], row["representation"], row["setting"]


def _lines(cells: Mapping[tuple[str, str, str], str], settings: Sequence[str]) -> list[list[str]]:
    return [
        [
            f"{features} {representation.replace('_', ' ')}",
            *(cells[features, representation, setting] for setting in settings),
        ]
        for representation in REPRESENTATIONS.values()
        for features in FEATURES
        if (features, representation, settings[0]) in cells
    ]


def _accuracy(row: dict[str, Any]) -> str:
    return _percent(row["accuracy_mean"], row["accuracy_std"], len(row["accuracies"]))


def _mean_average_precision(row: dict[str, Any]) -> str:
    return _percent(row["mean_average_precision"], row["std"], len(row["of_seeds"]))


def _percent(mean: float, std: float, seeds: int) -> str:
    return f"{100 * mean:.1f}" if seeds == 1 else f"{100 * mean:.1f} ± {100 * std:.1f}"
