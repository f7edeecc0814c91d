"""What the evaluations of a study's runs add up to, against numbers done by hand."""

import pytest

from helpers.study_summaries import arm_of, image_report, summary_of
from pc_crvae.errors import UserError
from pc_crvae.study.evaluations import FIGURES, describe_evaluations, figure_differences
from pc_crvae.study.markdown import format_report
from pc_crvae.study.results import StudySummary


def test_an_arm_is_the_mean_and_spread_of_its_seeds():
    figures = describe_evaluations([image_report(nll=90.0), image_report(nll=92.0)])
    assert figures["nll"].plain() == {
        "mean": 91.0,
        "std": pytest.approx(2**0.5),
        "of_seeds": [90.0, 92.0],
    }
    assert describe_evaluations([image_report()])["nll"].std is None


def test_what_one_run_has_not_is_left_out_of_its_arm():
    without = image_report(mutual_information=None, classifiers=None)
    figures = describe_evaluations([image_report(), without])
    assert not {"mutual_information", "knn"} & set(figures)
    assert "nll" in figures


def test_saturated_estimates_are_counted():
    figures = describe_evaluations([image_report(), image_report(saturated=True)])
    assert figures["mutual_information"].saturated == 1
    assert figures["mutual_information"].log_n == 7.6


def test_differences_are_of_equal_seeds():
    first = {0: image_report(svm=0.9), 1: image_report(svm=0.8), 2: image_report(svm=0.1)}
    second = {0: image_report(svm=0.7), 1: image_report(svm=0.75)}
    rows = {row.figure: row for row in figure_differences(("a", "b"), (first, second))}
    assert set(rows) == set(FIGURES)
    assert rows["linear_svm"].of_seeds == pytest.approx([0.2, 0.05])
    assert rows["linear_svm"].training_seeds == (0, 1)
    assert figure_differences(("a", "b"), (first, {})) == []


@pytest.mark.parametrize("other", [{"images": "b"}, {"items": 9}])
def test_figures_of_different_images_are_not_compared(other):
    with pytest.raises(UserError, match="different images"):
        figure_differences(("a", "b"), ({0: image_report()}, {0: image_report(**other)}))


def test_tables_mark_saturated_estimates_and_sign_differences():
    arms = [
        arm_of(
            name,
            figures=describe_evaluations(
                [image_report(nll, 7.5, name == "b"), image_report(nll + 2, 7.5)]
            ),
        )
        for name, nll in (("a", 90.0), ("b", 88.0))
    ]
    differences = figure_differences(
        ("a", "b"),
        (
            {0: image_report(90.0), 1: image_report(91.0)},
            {0: image_report(88.0), 1: image_report(88.0)},
        ),
    )
    text = format_report(summary_of(*arms, figure_differences=differences))
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
    pair = {0: image_report(nll=90.0 + mean)}, {0: image_report(nll=90.0)}
    rows = figure_differences(("a", "b"), pair)
    shown = format_report(summary_of(figure_differences=rows))
    assert f"| a - b | {text} |" in shown


@pytest.mark.parametrize(
    ("split", "sentence"),
    [("test", "of which a share of 0.1 is held out"), ("validation", "for validation left")],
)
def test_what_was_held_out_is_told_of_either_split(split, sentence):
    cut = {
        "name": "tiny",
        "trained_validation_fraction": 0.1,
        "evaluated": 9,
        "split": split,
        "of_split": 10,
        "classifiers_fitted_on": None,
        "train": 90,
        "samples": 5,
        "seed": 0,
        "transform": None,
        "sha256": {},
    }
    assert sentence in format_report(summary_of(evaluated=cut), [])


def test_differences_of_accuracies_are_a_line_a_pair_of_arms(tmp_path):
    rows = [
        {
            "first": first,
            "second": "b",
            "representation": "posterior_mean",
            "setting": setting,
            "difference": 0.217,
            "interval": [-0.001, 0.287],
            "of_seeds": [0.2, 0.234],
            "training_seeds": [0, 1],
        }
        for first, setting in (("a", "aligned"), ("a", "so3"), ("c", "so3"))
    ]
    summary = summary_of(differences=rows)
    text = format_report(summary)
    assert "| arms | posterior mean, aligned | posterior mean, SO(3) | seeds |" in text
    assert "| a - b | +21.7 [-0.1, +28.7] | +21.7 [-0.1, +28.7] | 2 |" in text
    assert "| c - b |  | +21.7 [-0.1, +28.7] | 2 |" in text
    assert text.index("| a - b |") < text.index("| c - b |")
    assert "not corrected for 3 comparisons" in text
    both = summary_of(differences=[rows[0] | {"t_interval": [-0.05, 0.484]}])
    assert "| a - b | +21.7 [-0.1, +28.7], t [-5.0, +48.4] | 2 |" in format_report(both)
    summary.write(tmp_path / "summary.json")
    assert StudySummary.read(tmp_path / "summary.json") == summary
