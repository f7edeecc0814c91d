"""From what a probe found under each seed to its report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.inspection.near_copies import NearCopies
from pc_crvae.embedding import names
from pc_crvae.evaluation.metrics.arrays import Labels
from pc_crvae.evaluation.metrics.significance import LEVEL, paired_difference
from pc_crvae.evaluation.probe.classifier_settings import CLASSIFIERS, grid_of, parameter_of
from pc_crvae.evaluation.probe.metrics.base import ALIGNED, ClassifierRow, Name, Row, scores_of
from pc_crvae.evaluation.probe.near_copies import score_without_near_copies
from pc_crvae.evaluation.probe.outcomes import Outcome
from pc_crvae.evaluation.probe.predictions import Predictions, row_name
from pc_crvae.evaluation.probe.protocol import ProbeProtocol
from pc_crvae.evaluation.probe.report import (
    Confusion,
    PairedRow,
    ProbeReport,
    ProtocolReport,
    TrainAndTestFeatures,
)
from pc_crvae.evaluation.reports import TrainAndTest

_LEFT_OUT = (
    "; one more than three standard deviations of the paired difference behind a smaller one in "
    "the first fold is left out, and so are larger ones"
)

Outcomes = Mapping[tuple[str, str], Sequence[Outcome]]
"""By whose features they are and which, named as in reports; one a probe seed."""


@dataclass(frozen=True)
class Probed:
    """A probe's report, and the predictions it is made from."""

    report: ProbeReport
    predictions: Predictions


def assemble(
    outcomes: Outcomes,
    test_labels: Labels,
    classes: Sequence[str],
    protocol: ProbeProtocol,
    data: TrainAndTest | TrainAndTestFeatures,
    versions: dict[str, str],
    near_copies: NearCopies | None = None,
) -> Probed:
    """Score what was predicted, and put it into a report.

    Args:
        outcomes: the outcomes of each encoder's representations, or of features that were given.
        test_labels: (m,), indices into ``classes``.
        classes: names.
        protocol: the protocol that was asked for.
        data: the items that were fitted on and scored on.
        versions: the versions of the libraries.
        near_copies: those that test shapes have in training, to be scored without.
    """
    found = score_rows(outcomes, test_labels, protocol)
    if names.GIVEN not in outcomes:
        bars = [compare_with_untrained]
        if any(features == names.TRAINING_FREE for features, _ in outcomes):
            bars = [compare_with_training_free, compare_with_untrained]
        found["paired"] = tuple(
            compare(setting, names.REPRESENTATIONS[key], outcomes, test_labels)
            for compare in bars
            for key in protocol.representations
            for setting in protocol.settings
        )
    if near_copies is not None:
        without = score_without_near_copies(near_copies, outcomes, test_labels)
        found["without_near_copies"] = without
    if ALIGNED in protocol.settings:
        probed = (names.GIVEN, ("trained", names.POSTERIOR_MEAN), ("trained", names.POOLED))
        of_seeds = outcomes[next(name for name in probed if name in outcomes)]
        predictions = [outcome.predictions[ALIGNED] for outcome in of_seeds]
        found["confusion"] = confusion_of(test_labels, predictions, classes)
    described = describe_protocol(protocol)
    report = ProbeReport(**found, protocol=described, data=data, versions=versions)
    if isinstance(data, TrainAndTest):
        items = data.test.sha256
    else:
        items = f"labels {data.test.labels_sha256}"
    return Probed(report, collect_predictions(outcomes, test_labels, protocol, items))


def score_rows(outcomes: Outcomes, test_labels: Labels, protocol: ProbeProtocol) -> dict[str, Any]:
    """The rows of a report, by its fields; metrics that the protocol leaves out are not there."""
    rows: dict[bool, list[ClassifierRow]] = {False: [], True: []}
    metrics: dict[str, list[Row]] = {
        metric.key: []
        for metric in protocol.known_metrics
        if metric.always_reported or protocol.asked(metric)
    }
    for (features, representation), found in outcomes.items():
        name = Name(features=features, representation=representation)
        rows[representation == names.POOLED] += [
            _classifier_row(name, setting, found, test_labels, protocol)
            for setting in protocol.settings
        ]
        for metric in protocol.metrics:
            of_seeds = [outcome.found[metric.key] for outcome in found]
            metrics[metric.key] += metric.rows(protocol.asked(metric), of_seeds, name)
    return {
        "rows": tuple(rows[False]),
        "extra_rows": tuple(rows[True]),
        "metrics": {key: tuple(of_metric) for key, of_metric in metrics.items()},
    }


def _classifier_row(
    name: Name,
    setting: names.Setting,
    outcomes: Sequence[Outcome],
    test_labels: Labels,
    protocol: ProbeProtocol,
) -> ClassifierRow:
    classifier = protocol.classifier
    parameter, grid = parameter_of(classifier), grid_of(classifier)
    notes = []
    if len(outcomes) == 1:
        notes.append("one probe seed: accuracy_std is 0 for want of a spread")
    if parameter == "c" and len(grid) > 1 and any(one.chosen == max(grid) for one in outcomes):
        notes.append("the largest C of the grid was chosen: a larger one might do better")
    if not all(outcome.converged for outcome in outcomes):
        notes.append("the SVM solver stopped at its iteration limit for some C")
    values = scores_of(test_labels, [outcome.predictions[setting] for outcome in outcomes])
    values[parameter] = tuple(outcome.chosen for outcome in outcomes)
    values["dimensions"] = outcomes[0].dimensions
    if notes:
        values["note"] = "; ".join(notes)
    return ClassifierRow(**name, setting=setting, classifier=classifier.name, **values)


def collect_predictions(
    outcomes: Outcomes, test_labels: Labels, protocol: ProbeProtocol, items: str
) -> Predictions:
    """Gather what is compared item by item; ``items`` is the hash of the test items."""
    rows = {
        row_name(*name, setting): np.stack([outcome.predictions[setting] for outcome in found])
        for name, found in outcomes.items()
        for setting in protocol.settings
    }
    return Predictions(np.asarray(test_labels), rows, np.array(protocol.seeds), items)


def compare_with_untrained(
    setting: names.Setting, trained: names.Representation, outcomes: Outcomes, test_labels: Labels
) -> PairedRow:
    """Compare a trained representation with the strongest untrained one, shape by shape.

    The strongest is picked on these very shapes, which favours the untrained side.
    """

    def share(name: str) -> float:
        right = _correct(outcomes["untrained", name], setting, test_labels)
        return float(right.mean())

    probed = [name for features, name in outcomes if features == "untrained"]
    strongest = cast(names.Representation, max(probed, key=share))
    other = outcomes["untrained", strongest]
    values = _paired(setting, outcomes["trained", trained], other, test_labels)
    return PairedRow(setting=setting, trained=trained, untrained=strongest, **values)


def compare_with_training_free(
    setting: names.Setting, trained: names.Representation, outcomes: Outcomes, test_labels: Labels
) -> PairedRow:
    """Compare a trained representation with the training-free row, shape by shape."""
    ((name, other),) = [each for each in outcomes.items() if each[0][0] == names.TRAINING_FREE]
    values = _paired(setting, outcomes["trained", trained], other, test_labels)
    return PairedRow(setting=setting, trained=trained, training_free=name[1], **values)


def _paired(
    setting: names.Setting, ours: Sequence[Outcome], theirs: Sequence[Outcome], test_labels: Labels
) -> dict[str, Any]:
    right, right_too = (_correct(of, setting, test_labels) for of in (ours, theirs))
    return {
        **paired_difference(right, right_too),
        "level": LEVEL,
        "method": "bootstrap percentile, over test shapes and probe seeds",
    }


def _correct(
    of_seeds: Sequence[Outcome], setting: names.Setting, test_labels: Labels
) -> NDArray[np.bool_]:
    return np.array([outcome.predictions[setting] == test_labels for outcome in of_seeds])


def confusion_of(
    labels: Labels, predictions: Sequence[Labels], classes: Sequence[str]
) -> Confusion:
    """Count (true class, predicted class) over all of ``predictions``."""
    matrix = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for predicted in predictions:
        np.add.at(matrix, (np.asarray(labels), predicted), 1)
    return Confusion(classes=tuple(classes), matrix=tuple(tuple(row) for row in matrix.tolist()))


def describe_protocol(protocol: ProbeProtocol) -> ProtocolReport:
    """Put a protocol into a report, and into words."""
    values: dict[str, Any] = protocol.model_dump(mode="json")
    classifier = values["classifier"]
    parameter = parameter_of(protocol.classifier)
    described = {
        metric.key: metric.describe(protocol.asked(metric)) for metric in protocol.known_metrics
    }
    return ProtocolReport.model_validate(
        values
        | {key: text for key, text in described.items() if text is not None}
        | {
            f"{parameter}_grid": classifier[parameter],
            "classifier": CLASSIFIERS[protocol.classifier.name],
            "classifier_settings": classifier,
            "features": "standardised by the mean and standard deviation of the training shapes"
            if protocol.standardise
            else "as they are, not standardised",
            f"choice_of_{parameter}": "stratified cross-validation on the training shapes, "
            + ("smallest of equals" if parameter == "c" else "largest of equals")
            + (_LEFT_OUT if classifier["name"] == "linear_svm" else "")
            if len(grid_of(protocol.classifier)) > 1
            else "fixed",
            "fitted_on": "training shapes, unturned"
            if protocol.average_over is None
            else "training shapes, unturned, each encoded by the mean over its copies turned by "
            f"the group {protocol.average_over}",
            "accuracy_std": "sample standard deviation over the probe seeds (ddof = 1)",
            "seed": "fixes points, turns, folds, draws and the untrained encoder's weights",
        }
    )
