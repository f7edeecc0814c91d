"""A metric of the probe is one module: this one is written here, and listed."""

import numpy as np
import pytest

from helpers.solids import clouds
from pc_crvae.config.sections import PositiveInt, Section
from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe.metrics import METRICS
from pc_crvae.evaluation.probe.metrics.base import ALIGNED, Metric, Row, per_cent, spread
from pc_crvae.evaluation.probe.protocol import parse_protocol
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.evaluation.probe.run import probe_encoders
from pc_crvae.evaluation.probe.table import format_table


class Nearest(Section):
    """The class of the nearest training items, by how many."""

    neighbours: PositiveInt = 1


class NearestRow(Row):
    neighbours: int
    shares: tuple[float, ...]


class NearestMetric(Metric[Nearest, float, NearestRow]):
    """How many of the nearest training items are of a test item's class."""

    key = "nearest"
    section = Nearest | None
    row = NearestRow
    title = "nearest"

    def check(self, asked):
        if asked.neighbours > 5:
            raise ValueError("nearest.neighbours should be few")

    def measure(self, asked, task):
        apart = np.linalg.norm(task.test[ALIGNED][:, None] - task.train[None], axis=2)
        found = task.train_labels[np.argsort(apart, axis=1)[:, : asked.neighbours]]
        return lambda labels: float((found == labels[:, None]).mean())

    def rows(self, asked, found, name):
        return [
            NearestRow(**name, setting=ALIGNED, neighbours=asked.neighbours, shares=tuple(found))
        ]

    def cells(self, row):
        shown = per_cent(float(np.mean(row.shares)), spread(row.shares), len(row.shares))
        return {f"{row.neighbours} nearest": shown}


@pytest.fixture
def nearest():
    METRICS.append(NearestMetric())
    yield METRICS[-1]
    METRICS.pop()


def spreads(points):
    return {"mean": points.std(axis=1), "pooled": points.std(axis=1)[:, :2]}


def test_it_is_asked_for_measured_reported_read_back_and_shown(nearest, tmp_path):
    rules = {"points": 24, "seeds": [0, 1], "settings": ["aligned"], "retrieval": False}
    protocol = parse_protocol(rules | {"nearest": {"neighbours": 3}}, "here")
    train, test = clouds("train"), clouds("test")
    report = probe_encoders(spreads, lambda seed: spreads, train, test, protocol).report
    rows = report.measured(nearest)
    assert [(row.features, row.representation) for row in rows] == [
        ("trained", "posterior_mean"),
        ("untrained", "posterior_mean"),
        ("trained", "pooled"),
        ("untrained", "pooled"),
    ]
    assert all(len(row.shares) == 2 and 0.5 < min(row.shares) <= 1 for row in rows)

    report.write(tmp_path / "probe.json")
    assert ProbeReport.read(tmp_path / "probe.json") == report
    plain = report.plain()
    assert list(plain)[:4] == ["rows", "extra_rows", "retrieval", "nearest"]
    assert plain["nearest"][0]["shares"] == list(rows[0].shares)
    assert plain["protocol"]["nearest"] == {"neighbours": 3}
    lines = format_table(report).splitlines()
    (title,) = [place for place, line in enumerate(lines) if line.startswith("nearest ")]
    assert lines[title].split() == ["nearest", "3", "nearest"]
    shown = f"trained posterior mean {100 * np.mean(rows[0].shares):.1f} "
    assert " ".join(lines[title + 1].split()).startswith(shown)


def test_its_section_is_checked_as_any_other(nearest):
    for values, sentence in {
        "neighbors": "nearest.neighbors is not a known key, did you mean neighbours",
        "neighbours": "nearest.neighbours should be few",
    }.items():
        with pytest.raises(UserError, match=f"^here: {sentence}"):
            parse_protocol({"nearest": {values: 6}}, "here")
    with pytest.raises(UserError, match="should include aligned, which nearest is scored on"):
        parse_protocol({"nearest": {}, "settings": ["z"]}, "here")


def test_without_it_its_section_is_unknown():
    with pytest.raises(UserError, match="nearest is not a known key"):
        parse_protocol({"nearest": {}}, "here")
