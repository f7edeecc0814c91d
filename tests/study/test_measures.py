"""What a study tabulates of robustness and generation, against numbers done by hand."""

import json
from types import SimpleNamespace

import pytest

from helpers.study_summaries import summary_of
from pc_crvae.errors import UserError
from pc_crvae.study.figures import describe_figures
from pc_crvae.study.markdown import format_summary
from pc_crvae.study.measures import figures_of, read_measurement
from pc_crvae.study.schema import MEASURES, MeasuresOfStudy
from pc_crvae.study.steps import _is_measured


def row(part, condition, level, accuracy, fitted_on="aligned", **who):
    who = {"features": "trained", "representation": "posterior_mean"} | who
    return (
        {"part": part, "condition": condition, "level": level, "fitted_on": fitted_on}
        | who
        | {"accuracy_mean": accuracy}
    )


def robustness(corrupted=0.6):
    others = {"representation": "pooled"}, {"features": "untrained"}
    rows = [
        row("rotation", "z", 0, 0.7, "z"),
        row("rotation", "z", 0, 0.1),
        row("rotation", "so3", 0, 0.5, "so3"),
        row("corruption", "jitter", 1, corrupted),
        row("corruption", "jitter", 2, 0.4),
        row("occlusion", "in_place", 30, 0.3),
        row("points", "count", 64, 0.8),
        row("points", "count", 128, 0.9),
    ]
    rows += [one | other | {"accuracy_mean": 0.25} for one in rows for other in others]
    errors = [
        {"features": features, "representation": representation, "mce_mean": mce}
        for (features, representation), mce in {
            ("trained", "posterior_mean"): 0.8,
            ("trained", "pooled"): 0.9,
            ("untrained", "posterior_mean"): 1.0,
        }.items()
    ]
    drift = [
        {"features": features, "condition": how, "centered_cosine": cosine, "kl": kl}
        for features, how, cosine, kl in (
            ("trained", "z", 0.9, 12.0),
            ("trained", "so3", 0.4, 50.0),
            ("untrained", "z", 0.2, None),
            ("untrained", "so3", 0.1, None),
        )
    ]
    return {"rows": rows, "corruption_errors": errors, "drift": drift}


GENERATION = {
    "reconstruction": {"chamfer_squared_sum": 0.02, "emd": 0.1},
    "latents": {
        "active_units": 7,
        "kl": 400.0,
        "mutual_information": {"estimate": 6, "log_n": 6.4},
    },
    "generation": {"samples": {"cd": {"1nna": 0.9}}},
}


def test_figures_of_robustness_are_of_the_posterior_mean_by_condition():
    found = {name: figure.read(robustness()) for name, figure in figures_of("robustness").items()}
    assert found == pytest.approx(
        {
            "z_z": 0.7,
            "so3_so3": 0.5,
            "corrupted": 0.5,
            "mce": 0.8,
            "occluded": 0.3,
            "sparse": 0.8,
            "cosine_z": 0.9,
            "cosine_so3": 0.4,
            "kl_z": 12.0,
        }
    )
    untrained = figures_of("robustness", "untrained")
    assert untrained["mce"].read(robustness()) == 1.0
    assert untrained["corrupted"].read(robustness()) == 0.25
    assert untrained["kl_z"].read(robustness()) is None


def test_figures_of_generation_are_those_of_its_report_and_none_without_a_prior():
    found = {name: figure.read(GENERATION) for name, figure in figures_of("generation").items()}
    assert found["chamfer"] == pytest.approx(20)
    assert found["nearest"] == 0.9
    assert (found["mutual_information"], found["log_n"]) == (6.0, 6.4)
    no_prior = GENERATION | {"latents": {"note": "none"}, "generation": {"note": "none"}}
    found = {name: figure.read(no_prior) for name, figure in figures_of("generation").items()}
    assert found["chamfer"] == pytest.approx(20)
    assert found["nearest"] is found["mutual_information"] is None


def test_measures_are_of_the_arms_they_name():
    measures = MeasuresOfStudy.model_validate(
        {"robustness": {"arms": ["a"]}, "generation": {}}, strict=False
    )
    assert measures.asked_of("a") == ["robustness", "generation"]
    assert measures.asked_of("b") == ["generation"]
    assert MeasuresOfStudy().asked_of("a") == []


def test_tables_show_arms_that_were_measured():
    of_runs = {"robustness": [robustness(), robustness(0.8)], "generation": [GENERATION] * 2}
    arms = [
        {"name": name, "about": "", "rows": [], "measured": measured}
        for name, measured in {
            "cr": {m: describe_figures(reports, figures_of(m)) for m, reports in of_runs.items()},
            "vae": {},
        }.items()
    ]
    measures = {"robustness": {"seeds": 1, "points": 1024}, "generation": {"count": 30}}
    text = format_summary(summary_of(arms, measures=measures))
    assert "| cr | 70.0 ± 0.0 | 50.0 ± 0.0 | 55.0 ± 7.1 | 0.80 ± 0.00 | 30.0 ± 0.0 |" in text
    assert "; 1 draw a run" in text
    assert "shapes of 1,024 points whatever" in text
    assert "30 samples of the prior against 30 test shapes" in text
    assert "| cr | 20.00 ± 0.00 | 0.100 ± 0.000 | 90.0 ± 0.0 | 7.0 ± 0.0 |" in text
    assert "| vae" not in text


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"rows": 3})])
def test_another_file_is_refused(tmp_path, measure, text):
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(UserError, match=f"not a report that {measure} wrote"):
        read_measurement(path, measure)


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol": {"seeds": [0], "points": 1024, "parts": ["rotation"]}},
        {"protocol": {"seeds": [0], "points": 512}},
        {"protocol": {"seeds": [0, 1]}},
        {"checkpoint": {"which": "best"}},
        {"corruption_errors": [{"reference": {"report": "other.json"}}]},
    ],
)
def test_what_was_measured_otherwise_is_measured_again(tmp_path, changes):
    run = SimpleNamespace(folder=tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    measures = MeasuresOfStudy.model_validate({"robustness": {"seeds": 1}})
    parts = ["rotation", "corruption", "occlusion", "points"]
    report = {
        "protocol": {"seeds": [0], "points": 1024, "parts": parts},
        "checkpoint": {"which": "last"},
        "corruption_errors": [{"reference": "untrained"}],
    }
    for values, taken in ((report, True), (report | changes, False)):
        (tmp_path / "robustness.json").write_text(json.dumps(values))
        assert _is_measured(run, "robustness", measures) is taken
