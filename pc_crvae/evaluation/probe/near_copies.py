"""What is left of a probe's accuracies without the test shapes that training has near-copies of."""

from collections.abc import Mapping, Sequence

import numpy as np

from pc_crvae.data.clouds import CloudSet
from pc_crvae.data.inspection.near_copies import THRESHOLD, NearCopies, find_near_copies
from pc_crvae.data.items import ItemSet
from pc_crvae.evaluation.metrics.arrays import Labels
from pc_crvae.evaluation.probe.metrics.base import ALIGNED, ScoredRow, scores_of
from pc_crvae.evaluation.probe.outcomes import Outcome
from pc_crvae.evaluation.probe.protocol import ProbeProtocol
from pc_crvae.evaluation.reports import Part


class WithoutNearCopies(Part):
    """Accuracies without the test shapes that have a near-copy in training.

    Attributes:
        left_out: test shapes that have one.
        test_items: test shapes, these included.
        threshold: the value of the measure below which two shapes are near-copies.
        measure: the measure that is compared, in words.
        rows: a row of each representation on aligned test shapes, of the same predictions as its
            row of all test shapes; none where no shape is left.
    """

    left_out: int
    test_items: int
    threshold: float
    measure: str
    rows: tuple[ScoredRow, ...]


def near_copies_of(train: ItemSet, test: ItemSet, protocol: ProbeProtocol) -> NearCopies | None:
    """The near-copies that a protocol leaves out, found without a label; None where it does not.

    Images have none, nor are there any to leave out where aligned test shapes are not scored.
    """
    asked = protocol.near_copies and ALIGNED in protocol.settings
    if asked and isinstance(train, CloudSet) and isinstance(test, CloudSet):
        return find_near_copies(train, test)
    return None


def score_without_near_copies(
    copies: NearCopies,
    outcomes: Mapping[tuple[str, str], Sequence[Outcome]],
    test_labels: Labels,
) -> WithoutNearCopies:
    """Score the predictions for the test shapes that have no near-copy.

    Args:
        copies: those that training has.
        outcomes: the outcomes of each row, one for each probe seed.
        test_labels: (m,).
    """
    labels = np.asarray(test_labels)
    left_out = copies.test_rows
    remaining = np.delete(np.arange(len(labels)), left_out)
    rows = []
    for (features, representation), of_seeds in outcomes.items() if len(remaining) else ():
        predictions = [outcome.predictions[ALIGNED][remaining] for outcome in of_seeds]
        scores = scores_of(labels[remaining], predictions)
        rows.append(
            ScoredRow(features=features, setting=ALIGNED, representation=representation, **scores)
        )
    return WithoutNearCopies(
        left_out=len(left_out),
        test_items=len(labels),
        threshold=THRESHOLD,
        measure=copies.measure,
        rows=tuple(rows),
    )
