"""Accuracies without near-copies: the same predictions, on the test shapes that have none."""

import json
from dataclasses import replace

import numpy as np
import pytest

from helpers.probe_protocols import protocol_names
from helpers.solids import clouds
from pc_crvae.evaluation.probe.classifier_settings import LinearSVM
from pc_crvae.evaluation.probe.features import probe_features
from pc_crvae.evaluation.probe.protocol import ProbeProtocol, load_protocol
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.evaluation.probe.run import probe_encoders
from pc_crvae.evaluation.probe.table import format_table

PROTOCOL = ProbeProtocol(points=24, seeds=(0, 1), classifier=LinearSVM(c=(1e-1,)))
COPIED = [0, 1, 2, 13, 30]  # test shapes that are training shapes


def spreads(points):
    return {"mean": points.std(axis=1)[:, :1], "pooled": np.abs(points).max(axis=1)}


@pytest.fixture(scope="module")
def train():
    return clouds("train")


@pytest.fixture(scope="module")
def test(train):
    test = clouds("test")
    points = np.array(test.points)
    points[COPIED] = np.asarray(train.points)[COPIED, ::-1]
    return replace(test, points=points)


def probe(train, test, **changes):
    protocol = PROTOCOL.model_copy(update=changes)
    return probe_encoders(spreads, lambda seed: spreads, train, test, protocol)


@pytest.fixture(scope="module")
def probed(train, test):
    return probe(train, test)


def test_each_row_is_scored_on_what_is_left_of_its_own_predictions(probed, test):
    without = probed.report.without_near_copies
    assert (without.left_out, without.test_items, without.threshold) == (5, 36, 0.012)
    assert without.measure.startswith("root mean square difference of the distances from 1,024")
    rows = probed.report.rows + probed.report.extra_rows
    aligned = [(row.features, row.representation) for row in rows if row.setting == "aligned"]
    assert sorted((row.features, row.representation) for row in without.rows) == sorted(aligned)
    left = np.delete(np.arange(36), COPIED)
    for row in without.rows:
        name = f"{row.features}.{row.representation}.aligned"
        right = probed.predictions.correct(name)[:, left]
        np.testing.assert_allclose(row.accuracies, right.mean(axis=1))
        assert row.accuracy_mean == pytest.approx(right.mean())
        labels = test.labels[left]
        of_classes = [right[:, labels == label].mean() for label in range(3)]
        assert row.class_mean == pytest.approx(np.mean(of_classes))
    # The rest of the report is that of a probe which does not look for them.
    assert any(row.accuracy_mean < 1 for row in without.rows)


def test_it_is_in_the_report_and_a_block_of_the_table(probed, tmp_path):
    probed.report.write(tmp_path / "probe.json")
    assert ProbeReport.read(tmp_path / "probe.json") == probed.report
    plain = json.loads((tmp_path / "probe.json").read_text())
    assert plain["without_near_copies"]["left_out"] == 5
    assert plain["protocol"]["near_copies"] is True
    lines = format_table(probed.report).splitlines()
    (title,) = [row for row, line in enumerate(lines) if line.startswith("without 5 near-copies")]
    assert lines[title].split()[-1] == "aligned"
    row = probed.report.without_near_copies.rows[0]
    shown = f"{100 * row.accuracy_mean:.1f} ± {100 * row.accuracy_std:.1f} "
    assert lines[title + 1].startswith("trained posterior mean")
    assert lines[title + 1].endswith(f"{shown}({100 * row.class_mean:.1f})")
    told = "near-copies: 5 of 36 test shapes have one in training (RMS of basis point distances"
    assert any(line.startswith(told) for line in lines)
    assert max(map(len, lines)) <= 110


def test_everything_else_is_as_without_it(probed, train, test):
    off = probe(train, test, near_copies=False).report
    assert off.without_near_copies is None
    assert "near-copies" not in format_table(off)
    found = probed.report.plain()
    del found["without_near_copies"]
    found["protocol"]["near_copies"] = False
    assert found == off.plain()


def test_where_there_are_none_it_says_so_in_a_line(train):
    report = probe(train, clouds("test"), seeds=(0,)).report
    assert report.without_near_copies.left_out == 0
    assert [row.accuracies for row in report.without_near_copies.rows] == [
        row.accuracies for row in report.rows + report.extra_rows if row.setting == "aligned"
    ]
    table = format_table(report)
    assert "without 0" not in table
    assert "near-copies: 0 of 36 test shapes" in table


def test_where_nothing_is_left_there_are_no_rows(train):
    same = replace(train, split="test", ids=tuple(f"copy{row}" for row in range(36)))
    report = probe(train, same, seeds=(0,)).report
    assert report.without_near_copies.rows == ()
    assert "near-copies: 36 of 36 test shapes" in format_table(report)


def test_it_is_of_shapes_as_they_are(train, test):
    report = probe(train, test, settings=("z",), seeds=(0,)).report
    assert "without_near_copies" not in report.plain()


def test_features_that_were_given_have_no_shapes_to_compare(train, test):
    arrays = [spreads(items.points)["mean"] for items in (train, test)]
    report = probe_features(arrays[0], train.labels, arrays[1], test.labels)
    assert "without_near_copies" not in report.plain()
    assert report.protocol.near_copies is False


def test_published_protocols_stay_as_they_were_published():
    ours = {name for name in protocol_names() if load_protocol(name).source == "this project"}
    assert ours == {"ours", "ours-full", "averaged-z", "averaged-so3"}
    for name in protocol_names():
        assert load_protocol(name).near_copies is (name in ours)
