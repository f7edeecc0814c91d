"""Labels of test shapes reach nothing but the score."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.poison import PoisonedLabels
from helpers.tiny_probes import PROTOCOL, Recorder, find, noise_encoder, run_probe, spreads
from pc_crvae.evaluation.metrics.retrieval import retrieve
from pc_crvae.evaluation.probe import run as module
from pc_crvae.evaluation.probe.linear_svm import FittedProbe, fit_linear_svm
from pc_crvae.evaluation.reports import DataCut


def test_labels_of_test_shapes_reach_nothing_but_the_score(train, test, monkeypatch, tmp_path):
    predict, predictions = FittedProbe.predict, []

    def remember(self, features):
        predictions[-1].append(predict(self, features))
        return predictions[-1][-1]

    monkeypatch.setattr(FittedProbe, "predict", remember)
    poisoned = replace(test, labels=(test.labels + 1) % 3)
    reports, encoders = [], []
    for split in (test, poisoned):
        monkeypatch.setenv("PC_CRVAE_CACHE", str(tmp_path / str(len(reports))))  # both fit all
        predictions.append([])
        encoders.append(Recorder())
        reports.append(run_probe(encoders[-1], noise_encoder, train, split, PROTOCOL))
    honest, misled = reports
    for ours, theirs in zip(encoders[0].seen, encoders[1].seen, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(*predictions, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for row, other in zip(honest["rows"], misled["rows"], strict=True):
        assert row["c"] == other["c"]
    best, worst = (find(r["rows"], "trained", "aligned")["accuracy_mean"] for r in reports)
    assert best > 0.9
    assert worst < 0.1


def test_no_test_label_is_read_but_to_score(train, test, monkeypatch, report):
    scoring = []

    def allowed_in(function):
        def score(*arguments, **options):
            scoring.append(function)
            try:
                return function(*arguments, **options)
            finally:
                scoring.pop()

        return score

    monkeypatch.setattr(module, "assemble", allowed_in(module.assemble))
    monkeypatch.setattr(DataCut, "of", allowed_in(DataCut.of))
    # It refuses classes that training does not have, and nothing else follows from it.
    checked = allowed_in(module.classes.check_same_classes)
    monkeypatch.setattr(module.classes, "check_same_classes", checked)
    predict = module.predict_items
    monkeypatch.setattr(module, "predict_items", lambda *arguments: allowed_in(predict(*arguments)))
    poisoned = test.subset(range(len(test)))
    labels = PoisonedLabels(test.labels, lambda: bool(scoring))
    object.__setattr__(poisoned, "labels", labels)
    found = run_probe(spreads, noise_encoder, train, poisoned, PROTOCOL)
    assert labels.reads > 0
    assert found == report
    for function in (fit_linear_svm, retrieve):
        with pytest.raises(AssertionError, match="before scoring"):
            function(spreads(test.points)["mean"], labels)
