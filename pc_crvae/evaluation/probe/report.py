"""What a probe reports: its scores over the probe seeds, as plain numbers and as a table."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.evaluation.metrics.clustering import agreement
from pc_crvae.evaluation.metrics.significance import LEVEL, paired_difference
from pc_crvae.evaluation.probe.few_shot import score_episode
from pc_crvae.evaluation.probe.linear_svm import Labels, accuracy, class_mean_accuracy
from pc_crvae.evaluation.probe.outcomes import EXTRAS_SETTING, Outcome
from pc_crvae.evaluation.probe.predictions import Predictions, row_name
from pc_crvae.evaluation.probe.protocol import CLASSIFIERS, ProbeProtocol, grid_of, parameter_of

SETTINGS = {"aligned": "aligned", "z": "z", "so3": "SO(3)"}
REPRESENTATIONS = {"mean": "posterior_mean", "pooled": "pooled", "given": "features"}
FEATURES = ("trained", "untrained")

Outcomes = Mapping[tuple[str, str], Sequence[Outcome]]
"""By kind of features and key of `REPRESENTATIONS`, one a probe seed."""


def assemble(outcomes: Outcomes, test_labels: Labels, protocol: ProbeProtocol) -> dict[str, Any]:
    """Score all outcomes; sections that the protocol leaves out are left out, but retrieval.

    ``rows`` are those of posterior means and of given features, ``extra_rows`` those of pooled
    features.
    """

    def each(scored: Callable[[str, str, Sequence[Outcome]], Any]) -> list[Any]:
        return [scored(features, key, found) for (features, key), found in outcomes.items()]

    def rows_of(*keys: str) -> list[dict[str, Any]]:
        return [
            score(features, setting, key, found, test_labels, protocol)
            for (features, key), found in outcomes.items()
            if key in keys
            for setting in protocol.settings
        ]

    report: dict[str, Any] = {
        "rows": rows_of("mean", "given"),
        "extra_rows": rows_of("pooled"),
        "retrieval": [
            score_retrieval(features, setting, key, found)
            for (features, key), found in outcomes.items()
            for setting in found[0].retrieved
        ],
    }
    if protocol.other_classifiers:
        report["other_classifiers"] = [
            row
            for rows in each(
                lambda features, key, found: score_others(
                    features, key, found, test_labels, protocol
                )
            )
            for row in rows
        ]
    if protocol.low_label is not None:
        report["low_label"] = [
            row
            for rows in each(
                lambda features, key, found: score_shares(features, key, found, test_labels)
            )
            for row in rows
        ]
    if protocol.few_shot:
        report["few_shot"] = [
            row
            for rows in each(
                lambda features, key, found: score_episodes(
                    features, key, found, test_labels, protocol
                )
            )
            for row in rows
        ]
    if protocol.clustering is not None:
        report["clustering"] = each(
            lambda features, key, found: score_clusters(features, key, found, test_labels)
        )
    return report


def collect_predictions(
    outcomes: Outcomes, test_labels: Labels, protocol: ProbeProtocol, items: str
) -> Predictions:
    """Gather what is compared item by item; ``items`` is the hash of the test items."""
    rows = {
        row_name(features, REPRESENTATIONS[key], setting): np.stack(
            [outcome.predictions[setting] for outcome in found]
        )
        for (features, key), found in outcomes.items()
        for setting in protocol.settings
    }
    return Predictions(np.asarray(test_labels), rows, np.array(protocol.seeds), items)


def score(
    features: str,
    setting: str,
    key: str,
    outcomes: Sequence[Outcome],
    test_labels: Labels,
    protocol: ProbeProtocol,
) -> dict[str, Any]:
    """Score one kind of features, representation and setting over the probe seeds."""
    classifier = protocol.classifier
    parameter, grid = parameter_of(classifier), grid_of(classifier)
    row = {
        "features": features,
        "setting": setting,
        "representation": REPRESENTATIONS[key],
        "classifier": classifier.name,
        **_accuracies(test_labels, [outcome.predictions[setting] for outcome in outcomes]),
        parameter: [outcome.chosen for outcome in outcomes],
        "dimensions": outcomes[0].dimensions,
    }
    notes = []
    if len(outcomes) == 1:
        notes.append("one probe seed: accuracy_std is 0 for want of a spread")
    if parameter == "c" and len(grid) > 1 and any(one.chosen == max(grid) for one in outcomes):
        notes.append("the largest C of the grid was chosen: a larger one might do better")
    if not all(outcome.converged for outcome in outcomes):
        notes.append("the SVM solver stopped at its iteration limit for some C")
    if notes:
        row["note"] = "; ".join(notes)
    return row


def score_others(
    features: str,
    key: str,
    outcomes: Sequence[Outcome],
    test_labels: Labels,
    protocol: ProbeProtocol,
) -> list[dict[str, Any]]:
    """Score the other classifiers on unturned test items, over the probe seeds."""
    rows = []
    for classifier in protocol.other_classifiers:
        answers = [outcome.others[classifier.name] for outcome in outcomes]
        row = {
            "features": features,
            "setting": EXTRAS_SETTING,
            "representation": REPRESENTATIONS[key],
            "classifier": classifier.name,
            **_accuracies(test_labels, [answer.predictions for answer in answers]),
            parameter_of(classifier): [answer.chosen for answer in answers],
        }
        if not all(answer.converged for answer in answers):
            row["note"] = "the solver stopped at its iteration limit for some fit"
        rows.append(row)
    return rows


def score_shares(
    features: str, key: str, outcomes: Sequence[Outcome], test_labels: Labels
) -> list[dict[str, Any]]:
    """Score each share of the training labels, over its draws and the probe seeds."""
    rows = []
    for fraction in outcomes[0].shares:
        draws = [draw for outcome in outcomes for draw in outcome.shares[fraction]]
        rows.append(
            {
                "features": features,
                "setting": EXTRAS_SETTING,
                "representation": REPRESENTATIONS[key],
                "fraction": fraction,
                "labels": draws[0][0],
                **_accuracies(test_labels, [predictions for _, predictions in draws]),
            }
        )
    return rows


def score_episodes(
    features: str,
    key: str,
    outcomes: Sequence[Outcome],
    test_labels: Labels,
    protocol: ProbeProtocol,
) -> list[dict[str, Any]]:
    """Score each kind of few-shot episode, over its trials and the probe seeds."""
    rows = []
    for place, few_shot in enumerate(protocol.few_shot):
        accuracies = [
            score_episode(episode, test_labels, few_shot.queries)
            for outcome in outcomes
            for episode in outcome.episodes[place]
        ]
        rows.append(
            {
                "features": features,
                "setting": EXTRAS_SETTING,
                "representation": REPRESENTATIONS[key],
                "ways": few_shot.ways,
                "shots": few_shot.shots,
                "queries": few_shot.queries,
                "queries_from": few_shot.queries_from,
                "accuracy_mean": float(np.mean(accuracies)),
                "accuracy_std": _spread(accuracies),
                "accuracies": accuracies,
            }
        )
    return rows


def score_clusters(
    features: str, key: str, outcomes: Sequence[Outcome], test_labels: Labels
) -> dict[str, Any]:
    """Score the clusters of unturned test items against their classes, over the probe seeds."""
    labels = np.asarray(test_labels)
    found = [
        agreement(labels, outcome.clusters) for outcome in outcomes if outcome.clusters is not None
    ]
    nmis, aris = [one.nmi for one in found], [one.ari for one in found]
    return {
        "features": features,
        "setting": EXTRAS_SETTING,
        "representation": REPRESENTATIONS[key],
        "nmi": float(np.mean(nmis)),
        "nmi_std": _spread(nmis),
        "ari": float(np.mean(aris)),
        "ari_std": _spread(aris),
        "nmis": nmis,
        "aris": aris,
    }


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
        "std": _spread(means),
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
    outcomes: Outcomes,
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
        np.add.at(matrix, (np.asarray(labels), predicted), 1)
    counts: list[list[int]] = matrix.tolist()
    return counts


def describe_protocol(protocol: ProbeProtocol) -> dict[str, Any]:
    """All that a protocol says, and in words what it means."""
    values: dict[str, Any] = protocol.model_dump(mode="json")
    classifier = values["classifier"]
    parameter = parameter_of(protocol.classifier)
    return values | {
        f"{parameter}_grid": classifier[parameter],
        "classifier": CLASSIFIERS[protocol.classifier.name],
        "classifier_settings": classifier,
        "features": "standardised by the mean and standard deviation of the training shapes"
        if protocol.standardise
        else "as they are, not standardised",
        "retrieval": "each test shape among the others, by cosine distance, not standardised"
        if protocol.retrieval
        else "none",
        f"choice_of_{parameter}": "stratified cross-validation on the training shapes, "
        + ("smallest of equals" if parameter == "c" else "largest of equals")
        if len(grid_of(protocol.classifier)) > 1
        else "fixed",
        "fitted_on": "training shapes, unturned"
        if protocol.average_over is None
        else "training shapes, unturned, each encoded by the mean over its copies turned by the "
        f"group {protocol.average_over}",
        "accuracy_std": "sample standard deviation over the probe seeds (ddof = 1)",
        "seed": "fixes points, turns, folds, draws and the untrained encoder's weights",
    }


def format_table(report: dict[str, Any]) -> str:
    """Lay a report out as plain text: scores in per cent, mean and standard deviation."""
    settings = report["protocol"]["settings"]
    titles = [SETTINGS[setting] for setting in settings]
    accuracies = {(*_name(row), row["setting"]): _accuracy(row) for row in _rows(report)}
    lines = [["", *titles], *_lines(accuracies, settings)]
    retrieval = report["retrieval"]
    precisions = {(*_name(row), row["setting"]): _mean_average_precision(row) for row in retrieval}
    if precisions:
        title = "retrieval, mean average precision"
        lines += [[title, *("" for _ in settings)], *_lines(precisions, settings)]
    parts = [_align(lines), *(_align(block) for block in _extra_blocks(report))]
    parts += [
        f"trained {row['trained'].replace('_', ' ')} less the strongest untrained row "
        f"({row['untrained'].replace('_', ' ')}), {SETTINGS[row['setting']]}: "
        f"{100 * row['difference']:+.1f} [{100 * row['interval'][0]:+.1f}, "
        f"{100 * row['interval'][1]:+.1f}]"
        for row in report.get("paired", [])
    ]
    return "\n".join(parts)


def _rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = report["rows"] + report["extra_rows"]
    return rows


def _extra_blocks(report: dict[str, Any]) -> list[list[list[str]]]:
    """One table a section that goes beyond the classifier: its lines of cells."""
    blocks = []
    sections: list[tuple[str, str, Callable[[dict[str, Any]], dict[str, str]]]] = [
        (
            "other_classifiers",
            "other classifiers",
            lambda row: {row["classifier"].replace("_", " "): _accuracy(row)},
        ),
        (
            "low_label",
            "share of the labels",
            lambda row: {f"{100 * row['fraction']:g} %": _accuracy(row)},
        ),
        (
            "few_shot",
            "few shots",
            lambda row: {f"{row['ways']}-way {row['shots']}-shot": _accuracy(row)},
        ),
        (
            "clustering",
            "clusters",
            lambda row: {
                "NMI": _percent(row["nmi"], row["nmi_std"], len(row["nmis"])),
                "ARI": _percent(row["ari"], row["ari_std"], len(row["aris"])),
            },
        ),
    ]
    for section, title, cells_of in sections:
        cells = {
            (*_name(row), column): cell
            for row in report.get(section, [])
            for column, cell in cells_of(row).items()
        }
        if cells:
            columns = list(dict.fromkeys(column for _, _, column in cells))
            blocks.append([[title, *columns], *_lines(cells, columns)])
    return blocks


def _align(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _name(row: dict[str, Any]) -> tuple[str, str]:
    return row["features"], row["representation"]


def _lines(cells: Mapping[tuple[str, str, str], str], columns: Sequence[str]) -> list[list[str]]:
    names = dict.fromkeys((features, representation) for features, representation, _ in cells)
    return [
        [
            f"{features} {representation.replace('_', ' ')}",
            *(cells[features, representation, column] for column in columns),
        ]
        for features, representation in names
    ]


def _accuracies(labels: Labels, predictions: Sequence[Labels]) -> dict[str, Any]:
    accuracies = [accuracy(labels, predicted) for predicted in predictions]
    class_means = [class_mean_accuracy(labels, predicted) for predicted in predictions]
    return {
        "accuracy_mean": float(np.mean(accuracies)),
        "accuracy_std": _spread(accuracies),
        "class_mean": float(np.mean(class_means)),
        "accuracies": accuracies,
        "class_means": class_means,
    }


def _spread(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _accuracy(row: dict[str, Any]) -> str:
    return _percent(row["accuracy_mean"], row["accuracy_std"], len(row["accuracies"]))


def _mean_average_precision(row: dict[str, Any]) -> str:
    return _percent(row["mean_average_precision"], row["std"], len(row["of_seeds"]))


def _percent(mean: float, std: float, seeds: int) -> str:
    return f"{100 * mean:.1f}" if seeds == 1 else f"{100 * mean:.1f} ± {100 * std:.1f}"
