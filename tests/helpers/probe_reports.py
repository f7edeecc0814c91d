"""Reports of probes as they are stored, without a probe."""

import numpy as np

from pc_crvae.embedding.names import POOLED
from pc_crvae.evaluation.probe.assembly import describe_protocol
from pc_crvae.evaluation.probe.metrics.base import ClassifierRow, Score, summarize
from pc_crvae.evaluation.probe.predictions import (
    Predictions,
    predictions_path,
    save_predictions,
)
from pc_crvae.evaluation.probe.protocol import ProbeProtocol
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.evaluation.reports import DataCut, TrainAndTest, library_versions


def cut(split, count):
    return DataCut(
        name="things",
        split=split,
        count=count,
        points_available=8,
        classes=("a", "b", "c", "d", "e"),
        sha256="0" * 64,
    )


def report_of(predictions, **protocol):
    """The report whose rows are those of ``predictions``, in [0, 1]."""
    rows = []
    for name in predictions.rows:
        features, representation, setting = name.split(".")
        accuracies = predictions.correct(name).mean(axis=1).tolist()
        rows.append(
            ClassifierRow(
                features=features,
                setting=setting,
                representation=representation,
                classifier="linear_svm",
                **summarize([Score(share, share) for share in accuracies]),
                c=[0.1] * len(accuracies),
                dimensions=4,
            )
        )
    count = len(predictions.labels)
    return ProbeReport(
        rows=[row for row in rows if row.representation != POOLED],
        extra_rows=[row for row in rows if row.representation == POOLED],
        metrics={"retrieval": ()},
        protocol=describe_protocol(ProbeProtocol(**protocol)),
        data=TrainAndTest(train=cut("train", count), test=cut("test", count)),
        versions=library_versions(),
    )


def store_probe(path, predicted, labels, *, items="hash", seeds=(0, 1), **protocol):
    """Write a report and the predictions (S, n) by row beside it; return the predictions."""
    predictions = Predictions(np.asarray(labels), predicted, np.array(seeds), items)
    report_of(predictions, **protocol).write(path)
    save_predictions(predictions, predictions_path(path))
    return predictions
