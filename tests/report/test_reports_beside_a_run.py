"""Reports beside a run that are stale, damaged or of another state."""

import os

import pytest
from PIL import Image

from helpers.run_pages import clouds, section, store_probe, subject_of, write
from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe.predictions import predictions_path
from pc_crvae.models.exports import write_export
from pc_crvae.report.stored import Subject


def test_a_report_older_than_the_weights_is_stale(model, tmp_path):
    split, subject = clouds(count=3), subject_of(model, tmp_path)
    report = store_probe(tmp_path, split)
    fresh, _ = write(model, subject, split)
    assert "stale" not in section(fresh, "Probe").lower()
    assert "probe accuracy" in fresh
    weights = (tmp_path / "model.safetensors").stat()
    os.utime(report, ns=(weights.st_mtime_ns - 1, weights.st_mtime_ns - 1))
    stale, problems = write(model, subject, split)
    assert problems == []
    found = section(stale, "Probe")
    assert "Stale: probe.json is older" in found
    assert found.index("<details>") < found.index("75.0")
    assert "probe accuracy" not in stale  # among the numbers at the top
    assert "class=wrong" not in stale
    assert "taken for table</small>" not in stale


def test_a_report_of_another_state_of_the_run_is_told(model, tmp_path):
    split = clouds(count=3)
    subject_of(model, tmp_path)
    write_export(model, tmp_path / "checkpoints" / "best")
    store_probe(tmp_path, split)
    subject = Subject(tmp_path, tmp_path / "checkpoints" / "best", "best")
    page, _ = write(model, subject, UserError("no data here"))
    assert "measures the last state" in section(page, "Probe")
    assert "--which best" in section(page, "Probe")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        "{}",
        '{"rows": 3}',
        "\x00\xff",
        "[" * 100_000,
        '{"rows": [{"features": "trained"}]}',
    ],
)
def test_a_damaged_report_is_named_and_the_page_written(model, tmp_path, text):
    (tmp_path / "robustness.json").write_text(text)
    (tmp_path / "generation.json").write_text(text)
    page, problems = write(model, subject_of(model, tmp_path), UserError("no data here"))
    for name in ("robustness", "generation"):
        assert any(f"{name}.json is damaged" in problem for problem in problems)
        assert "is damaged" in section(page, name.capitalize())


def test_predictions_that_are_missing_or_of_other_items_are_told(model, tmp_path):
    split, subject = clouds(count=3), subject_of(model, tmp_path)
    path = store_probe(tmp_path, split)
    page, _ = write(model, subject, clouds(count=3))  # the same names, other points
    assert "of other items" in section(page, "Probe")
    predictions_path(path).unlink()
    page, problems = write(model, subject, split)
    assert problems == []
    assert "probe-predictions.npz, which is not there" in section(page, "Probe")
    predictions_path(path).write_bytes(b"PK")
    page, problems = write(model, subject, split)
    assert "is not a whole .npz file" in problems[0]
    assert "75.0" in section(page, "Probe")


def test_traversals_that_lie_beside_an_evaluation_are_shown_only_if_they_are_a_picture(tmp_path):
    from pc_crvae.report.measurements import traversals

    Image.new("RGB", (20, 10)).save(tmp_path / "evaluation-traversals.png")
    assert "max-width: 20px" in traversals(tmp_path / "evaluation.json")
    whole = (tmp_path / "evaluation-traversals.png").read_bytes()
    for bytes_of_it in (b"<svg>", whole[:40]):
        (tmp_path / "evaluation-traversals.png").write_bytes(bytes_of_it)
        with pytest.raises(UserError, match="no whole PNG"):
            traversals(tmp_path / "evaluation.json")
