"""The command ``compare`` and what it reads."""

import json
import re

import numpy as np
import pytest

from helpers.probe_reports import report_of, store_probe
from pc_crvae.cli import main
from pc_crvae.evaluation.probe.predictions import (
    Predictions,
    load_predictions,
    predictions_path,
    save_predictions,
)
from pc_crvae.evaluation.probe.table import format_table
from pc_crvae.evaluation.probe.words import columns_in_words, in_words

LABELS = np.arange(200) % 5


def store(path, accuracies, *, items="hash", labels=LABELS, seeds=(0, 1), name="ours"):
    """A report of a row for each of ``accuracies`` by name, as ``probe`` writes it."""
    rng = np.random.default_rng(len(path.name))
    predicted = {}
    for row, share in accuracies.items():
        wrong = rng.random((len(seeds), len(labels))) >= share
        predicted[row] = np.where(wrong, (labels + 1) % 5, labels)
    return path, store_probe(path, predicted, labels, items=items, seeds=seeds, name=name)


def compare(capsys, *arguments):
    status = main(["compare", *map(str, arguments)])
    said = capsys.readouterr()
    assert said.err.count("\n") == (1 if status else 0)
    return said.err if status else said.out


def test_predictions_are_kept_small_and_whole(tmp_path):
    path, predictions = store(tmp_path / "probe.json", {"trained.pooled.aligned": 0.8})
    kept = load_predictions(predictions_path(path))
    np.testing.assert_array_equal(kept.labels, LABELS)
    np.testing.assert_array_equal(
        kept.rows["trained.pooled.aligned"], predictions.rows["trained.pooled.aligned"]
    )
    assert kept.items == "hash"
    assert kept.rows["trained.pooled.aligned"].dtype.itemsize == 1
    many = Predictions(LABELS * 1000, {"a.b.c": LABELS[None] * 1000}, np.array([0]), "hash")
    save_predictions(many, tmp_path / "many.npz")
    np.testing.assert_array_equal(load_predictions(tmp_path / "many.npz").labels, LABELS * 1000)


def test_interval_and_p_are_explained_where_they_stand_and_go_into_a_table(tmp_path, capsys):
    row = "trained.posterior_mean.aligned"
    a, _ = store(tmp_path / "a.json", {row: 0.9})
    b, _ = store(tmp_path / "bb.json", {row: 0.6})
    said = compare(capsys, a, b, "--table", tmp_path / "table.csv")
    assert "a 95% interval; one that holds 0 does not tell A and B apart" in said
    assert "McNemar p: if both were equally good" in said
    titles, cells = (tmp_path / "table.csv").read_text().splitlines()
    assert titles == "features,A,B,A less B,interval,McNemar p"
    shown = re.search(r"A ([\d.]+), B ([\d.]+), A less B (\S+)", said).groups()
    assert cells.startswith(f"{row},{','.join(shown)},")


def test_what_was_found_is_said_in_words_beside_what_was_not_trained():
    right = np.stack([LABELS, LABELS])
    half = np.where(np.arange(200) < 100, LABELS, (LABELS + 1) % 5)
    rows = {"trained.posterior_mean.z": right, "untrained.posterior_mean.z": half[None]}
    report = report_of(Predictions(LABELS, rows, np.array([0]), "hash"), settings=("z",))
    assert in_words(report) == (
        "Turned about the vertical, 100 % of unseen items are recognised, 50 % without training."
    )
    columns, seeds, *_ = columns_in_words(report).splitlines()
    assert columns == "Columns: test items turned about the vertical (z)."
    assert "round brackets hold the mean over classes" in seeds
    given = {"given.features.aligned": right}
    assert in_words(report_of(Predictions(LABELS, given, np.array([0]), "hash"))) == ""


def test_notes_of_rows_are_told_once_each_with_the_rows_they_are_about():
    right = np.stack([LABELS, LABELS])
    rows = {f"trained.{name}.aligned": right for name in ("posterior_mean", "pooled")}
    report = report_of(Predictions(LABELS, rows, np.array([0, 1]), "hash"), settings=("aligned",))
    largest = "the largest C of the grid was chosen: a larger one might do better"
    of_one = report.rows[0].model_copy(update={"note": largest})
    one = format_table(report.model_copy(update={"rows": (of_one,)}))
    assert one.splitlines()[-1] == f"note: {largest} (trained posterior mean)"
    of_other = report.extra_rows[0].model_copy(update={"note": largest})
    both = report.model_copy(update={"rows": (of_one,), "extra_rows": (of_other,)})
    assert format_table(both).splitlines()[-1] == f"note: {largest}"
    assert "note" not in format_table(report)


def test_a_clear_lead_is_told_from_none(tmp_path, capsys):
    row = "trained.posterior_mean.aligned"
    a, better = store(tmp_path / "a.json", {row: 0.9, "trained.pooled.aligned": 0.8})
    b, worse = store(tmp_path / "bb.json", {row: 0.6, "trained.pooled.z": 0.8})
    assert f"{row}: A " in compare(capsys, a, b, "--json", tmp_path / "out.json")
    compared = json.loads((tmp_path / "out.json").read_text())
    (found,) = compared["rows"]
    right, wrong = better.correct(row), worse.correct(row)
    assert found["difference"] == pytest.approx(right.mean() - wrong.mean())
    assert found["interval"][0] > 0
    assert found["p"] < 1e-6
    assert found["only_first_right"] == (right & ~wrong).sum(axis=1).tolist()
    compare(capsys, a, a, "--json", tmp_path / "same.json")
    for same in json.loads((tmp_path / "same.json").read_text())["rows"]:
        assert (same["difference"], same["interval"], same["p"]) == (0, [0, 0], 1)


def test_rows_of_different_names_are_compared_when_named(tmp_path, capsys):
    a, _ = store(tmp_path / "a.json", {"trained.pooled.aligned": 0.9})
    b, _ = store(tmp_path / "bb.json", {"untrained.pooled.aligned": 0.6})
    assert "have no row in common" in compare(capsys, a, b)
    named = ["--rows", "trained.pooled.aligned", "untrained.pooled.aligned"]
    assert "trained.pooled.aligned / untrained.pooled.aligned: A" in compare(capsys, a, b, *named)
    refusal = compare(capsys, a, b, "--rows", "trained.pooled.aligned", "trained.pooled.aligned")
    assert "has no row trained.pooled.aligned, only untrained" in refusal


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"items": "another"}, "probed on different test items"),
        ({"labels": (LABELS + 1) % 5}, "probed on different test items"),
        ({"seeds": (0, 2)}, "probe both with the same seeds"),
        ({"seeds": (0,)}, "probe both with the same seeds"),
    ],
)
def test_runs_on_different_data_or_seeds_are_refused(tmp_path, capsys, other, sentence):
    a, _ = store(tmp_path / "a.json", {"trained.pooled.aligned": 0.9})
    b, _ = store(tmp_path / "b.json", {"trained.pooled.aligned": 0.9}, **other)
    assert sentence in compare(capsys, a, b)


def test_different_protocols_are_noted(tmp_path, capsys):
    a, _ = store(tmp_path / "a.json", {"trained.pooled.aligned": 0.9})
    b, _ = store(tmp_path / "b.json", {"trained.pooled.aligned": 0.9})
    assert "note" not in compare(capsys, a, b)
    store(b, {"trained.pooled.aligned": 0.9}, name="strl")
    assert "note: different protocols, ours and strl" in compare(capsys, a, b)


def test_a_folder_stands_for_the_report_in_it(tmp_path, capsys):
    a, _ = store(tmp_path / "probe.json", {"trained.pooled.aligned": 0.9})
    assert "A less B +0.0" in compare(capsys, tmp_path, a)
    assert "cannot read" in compare(capsys, tmp_path / "nowhere", a)


def test_reports_without_their_predictions_are_refused(tmp_path, capsys):
    a, _ = store(tmp_path / "a.json", {"trained.pooled.aligned": 0.9})
    b, _ = store(tmp_path / "bb.json", {"trained.pooled.aligned": 0.5})
    predictions_path(a).replace(predictions_path(b))
    assert "a-predictions.npz is missing" in compare(capsys, a, b)
    assert "holds predictions of another report" in compare(capsys, b, b)
    b.write_text("{}")
    assert "is damaged, or of another version: make it anew" in compare(capsys, b, a)
    np.savez(predictions_path(a), labels=LABELS, seeds=np.arange(2), items="hash")
    assert "does not hold a probe's predictions" in compare(capsys, a, a)
    predictions_path(a).write_bytes(b"PK")
    assert "is not a whole .npz file" in compare(capsys, a, a)
