"""From what a probe found under each seed to its report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

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
from pc_crvae.evaluation.reports import Part, TrainAndTest, library_versions

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
    near_copies: NearCopies | None,
    **parts: Part,
) -> Probed:
    """Score what was predicted, and put it into a report.

    Args:
        outcomes: the outcomes of each encoder's representations, or of features that were given.
        test_labels: (m,), indices into ``classes``.
        classes: names.
        protocol: the protocol that was asked for.
        data: the items that were fitted on and scored on.
        near_copies: those that test shapes have in training, to be scored without; None for none.
        parts: further parts of the report, by its fields.
    """
    if isinstance(data, TrainAndTest):
        items = data.test.sha256
    else:
        items = f"labels {data.test.labels_sha256}"
    predictions = collect_predictions(outcomes, test_labels, protocol, items)
    found = score_rows(outcomes, test_labels, protocol)
    if names.GIVEN not in outcomes:
        found["paired"] = tuple(compare_rows(outcomes, predictions, protocol))
    if near_copies is not None:
        without = score_without_near_copies(near_copies, outcomes, test_labels)
        found["without_near_copies"] = without
    if ALIGNED in protocol.settings:
        probed = (names.GIVEN, ("trained", names.POSTERIOR_MEAN), ("trained", names.POOLED))
        shown = next(name for name in probed if name in outcomes)
        answers = predictions.rows[row_name(*shown, ALIGNED)]
        found["confusion"] = confusion_of(predictions.labels, answers, classes)
    described = describe_protocol(protocol)
    versions = library_versions()
    report = ProbeReport(**found, protocol=described, data=data, versions=versions, **parts)
    return Probed(report, predictions)


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


def compare_rows(
    outcomes: Outcomes, predictions: Predictions, protocol: ProbeProtocol
) -> Iterator[PairedRow]:
    """Compare trained representations, shape by shape, with what was not trained.

    That is the training-free row, then the strongest untrained representation, which is picked on
    these very shapes and so is favoured.
    """

    def correct(features: str, representation: str, setting: str) -> NDArray[np.bool_]:
        return predictions.correct(row_name(features, representation, setting))

    for features in (names.TRAINING_FREE, "untrained"):
        others = [representation for whose, representation in outcomes if whose == features]
        if not others:
            continue
        for key, setting in product(protocol.representations, protocol.settings):
            rights = {other: correct(features, other, setting) for other in others}
            strongest = max(others, key=lambda other: rights[other].mean())
            trained = names.REPRESENTATIONS[key]
            yield PairedRow.model_validate(
                {
                    "setting": setting,
                    "trained": trained,
                    features: strongest,
                    **paired_difference(correct("trained", trained, setting), rights[strongest]),
                    "level": LEVEL,
                    "method": "bootstrap percentile, over test shapes and probe seeds",
                }
            )


def confusion_of(labels: Labels, answers: NDArray[np.integer], classes: Sequence[str]) -> Confusion:
    """Count (true class, predicted class) over all of ``answers`` (S, n) for the labels (n,)."""
    true = np.broadcast_to(labels, answers.shape)
    matrix = confusion_matrix(true.ravel(), answers.ravel(), labels=np.arange(len(classes)))
    return Confusion(classes=tuple(classes), matrix=tuple(map(tuple, matrix.tolist())))


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
