"""What the evaluations of a study's runs add up to, against numbers done by hand."""

import json

import pytest

from helpers.study_summaries import summary_of
from pc_crvae.errors import UserError
from pc_crvae.study.evaluations import (
    FIGURES,
    describe_evaluations,
    figure_differences,
    read_evaluation,
)
from pc_crvae.study.markdown import _differences, _signed, _trained_on, format_summary


def protocol(items=10):
    return {"split": "test", "evaluated_items": items} | {
        "seed": 0,
        "samples": 500,
        "train_items": 40,
    }


def report(nll=90.0, information=3.0, saturated=False, svm=0.9, images="a", **changes):
    figure = {"mean": 1.0, "stderr": 0.1}
    plain = {
        "nll": {"mean": nll, "stderr": 0.5},
        "elbo": figure,
        "rate": figure,
        "distortion": figure,
        "mutual_information": {"estimate": information, "log_n": 7.6, "saturated": saturated},
        "active_units": 5,
        "consistency_kl": figure,
        "classifiers": {
            name: {"accuracy": svm} for name in ("linear_svm", "logistic_regression", "knn")
        },
        "protocol": protocol(),
        "data": {"test": {"sha256": images, "count": 10}, "train": {"sha256": "t", "count": 50}},
    }
    return plain | changes


def test_an_arm_is_the_mean_and_spread_of_its_seeds():
    figures = describe_evaluations([report(nll=90.0), report(nll=92.0)])
    assert figures["nll"] == {"mean": 91.0, "std": pytest.approx(2**0.5), "of_seeds": [90.0, 92.0]}
    assert describe_evaluations([report()])["nll"]["std"] is None


def test_what_one_run_has_not_is_left_out_of_its_arm():
    figures = describe_evaluations([report(), report(mutual_information=None, classifiers=None)])
    assert not {"mutual_information", "knn"} & set(figures)
    assert "nll" in figures


def test_saturated_estimates_are_counted():
    figures = describe_evaluations([report(), report(saturated=True)])
    assert figures["mutual_information"]["saturated"] == 1
    assert figures["mutual_information"]["log_n"] == 7.6


def test_differences_are_of_equal_seeds():
    first = {0: report(svm=0.9), 1: report(svm=0.8), 2: report(svm=0.1)}
    second = {0: report(svm=0.7), 1: report(svm=0.75)}
    rows = {row["figure"]: row for row in figure_differences(("a", "b"), (first, second))}
    assert set(rows) == set(FIGURES)
    assert rows["linear_svm"]["of_seeds"] == pytest.approx([0.2, 0.05])
    assert rows["linear_svm"]["training_seeds"] == [0, 1]
    assert figure_differences(("a", "b"), (first, {})) == []


@pytest.mark.parametrize(
    "other",
    [
        {"images": "b"},
        {"protocol": protocol(items=9)},
    ],
)
def test_figures_of_different_images_are_not_compared(other):
    with pytest.raises(UserError, match="different images"):
        figure_differences(("a", "b"), ({0: report()}, {0: report(**other)}))


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"nll": 3})])
def test_another_file_is_refused(tmp_path, text):
    path = tmp_path / "evaluation.json"
    path.write_text(text)
    with pytest.raises(UserError, match="not a report that evaluate wrote"):
        read_evaluation(path)


def test_tables_mark_saturated_estimates_and_sign_differences():
    arms = [
        {
            "name": name,
            "about": "",
            "rows": [],
            "measured": {},
            "seeds": [0, 1],
            "figures": describe_evaluations([report(nll, 7.5, name == "b"), report(nll + 2, 7.5)]),
        }
        for name, nll in (("a", 90.0), ("b", 88.0))
    ]
    summary = summary_of(
        arms,
        figure_differences=figure_differences(
            ("a", "b"),
            ({0: report(90.0), 1: report(91.0)}, {0: report(88.0), 1: report(88.0)}),
        ),
    )
    text = format_summary(summary)
    assert "| a | 91.00 ± 1.41 |" in text
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    assert "7.50 ± 0.00 *" in rows["b"]
    assert "*" not in rows["a"]
    assert "cannot pass log N = 7.60" in text
    assert rows["a - b"].startswith("| a - b | +2.50 ± 0.71 |")


@pytest.mark.parametrize(
    ("mean", "text"), [(-0.001, "0.00"), (0.001, "0.00"), (-0.5, "-0.50"), (0.5, "+0.50")]
)
def test_signs_are_of_what_is_shown(mean, text):
    assert _signed({"mean": mean, "std": None}, 1, 2) == text


def test_what_was_held_out_is_told_of_either_split():
    cut = {"train": 90, "trained_validation_fraction": 0.1}
    assert "of which a share of 0.1 is held out" in _trained_on(cut | {"split": "test"})
    assert "held out for validation left" in _trained_on(cut | {"split": "validation"})


def test_differences_of_accuracies_are_a_line_a_pair_of_arms():
    rows = [
        {
            "first": first,
            "second": "b",
            "representation": "posterior_mean",
            "setting": setting,
            "difference": 0.217,
            "interval": [-0.001, 0.287],
            "training_seeds": [0, 1],
        }
        for first, setting in (("a", "aligned"), ("a", "so3"), ("c", "so3"))
    ]
    text = _differences({"differences": rows, "level": 0.95, "method": "m"})
    assert "| arms | posterior mean, aligned | posterior mean, SO(3) | seeds |" in text
    assert "| a - b | +21.7 [-0.1, +28.7] | +21.7 [-0.1, +28.7] | 2 |" in text
    assert "| c - b |  | +21.7 [-0.1, +28.7] | 2 |" in text
    assert "not corrected for 3 comparisons" in text
