import json
from pathlib import Path

import pytest

from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe.metrics import METRICS
from pc_crvae.evaluation.probe.report import ProbeReport

STORED = Path(__file__).with_name("report-0.1.json")
"""What version 0.1 wrote under a protocol that asks for everything."""


def test_a_report_of_version_0_1_is_read_whole_and_written_as_it_was(tmp_path):
    report = ProbeReport.read(STORED)
    assert json.dumps(report.plain()) + "\n" == STORED.read_text()
    report.write(tmp_path / "again.json")
    assert ProbeReport.read(tmp_path / "again.json") == report
    assert (tmp_path / "again.json").read_text().count("\n") > 100


def test_its_values_are_typed():
    report = ProbeReport.read(STORED)
    assert report.rows[0].k == (report.rows[0].k[0],)
    assert report.rows[0].c is None
    for metric in METRICS:
        rows = report.measured(metric)
        assert rows
        assert {type(row) for row in rows} == {metric.row}
    assert report.data.train.count == 36
    assert report.checkpoint.which == "best"


@pytest.mark.parametrize(
    "damage",
    [
        lambda values: values.pop("rows"),
        lambda values: values.update(other=1),
        lambda values: values["rows"][0].update(accuracy_mean="high"),
        lambda values: values["few_shot"][0].pop("ways"),
        lambda values: values.update(clustering=3),
        lambda values: values["protocol"].update(settings=["y"]),
    ],
)
def test_what_is_no_such_report_is_refused_in_one_sentence(tmp_path, damage):
    values = json.loads(STORED.read_text())
    damage(values)
    path = tmp_path / "probe.json"
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"probe\.json is damaged, or of another version"):
        ProbeReport.read(path)
