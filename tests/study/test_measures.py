"""What a study tabulates of robustness and generation, against numbers done by hand."""

import os
from types import SimpleNamespace

import pytest

from helpers.study_summaries import VERSIONS, arm_of, cut_of, summary_of
from helpers.toy_models import point_vae
from pc_crvae.errors import UserError
from pc_crvae.evaluation.generation.report import GenerationReport
from pc_crvae.evaluation.robustness.report import RobustnessReport
from pc_crvae.models.exports import recorded_sha256, write_export
from pc_crvae.study.figures import describe_figures
from pc_crvae.study.markdown import format_report
from pc_crvae.study.measures import figures_of, read_measurement
from pc_crvae.study.schema import MEASURES, MeasuresOfStudy
from pc_crvae.study.steps import is_measured

LAST = {"path": "run", "which": "last"}
DATA = {"train": cut_of("train"), "test": cut_of()}
ENCODERS = [
    {"features": features, "representation": representation}
    for features in ("trained", "untrained")
    for representation in ("posterior_mean", "pooled")
]


def robustness(corrupted=0.6, **changes):
    """A report in which only the trained encoder's posterior mean has these accuracies."""
    rows = [
        {"part": part, "condition": condition, "level": level, "fitted_on": fitted_on}
        | {"accuracy_mean": accuracy if who == ENCODERS[0] else 0.25}
        | {"accuracy_std": 0.0, "accuracies": [accuracy]}
        | who
        for part, condition, level, accuracy, fitted_on in (
            ("rotation", "z", 0, 0.7, "z"),
            ("rotation", "z", 0, 0.1, "aligned"),
            ("rotation", "so3", 0, 0.5, "so3"),
            ("corruption", "jitter", 1, corrupted, "aligned"),
            ("corruption", "jitter", 2, 0.4, "aligned"),
            ("occlusion", "in_place", 30, 0.3, "aligned"),
            ("points", "count", 64, 0.8, "aligned"),
            ("points", "count", 128, 0.9, "aligned"),
        )
        for who in ENCODERS
    ]
    errors = [
        who | {"reference": "untrained", "ce": {}, "mce_mean": mce, "mce_std": 0.0, "mce": [mce]}
        for who, mce in zip(ENCODERS, (0.8, 0.9, 1.0, 1.0), strict=True)
    ]
    drift = [
        {"features": features, "part": "rotation", "condition": how, "level": 0, "cosine": 0.9}
        | {"cosine_of_seeds": [0.9], "centered_cosine": cosine}
        | {"kl": kl, "kl_per_dimension": kl, "kl_of_seeds": []}
        for features, how, cosine, kl in (
            ("trained", "z", 0.9, 12.0),
            ("trained", "so3", 0.4, 50.0),
            ("untrained", "z", 0.2, None),
            ("untrained", "so3", 0.1, None),
        )
    ]
    words = dict.fromkeys(
        ("classifier", "fitted_on", "accuracy_std", "corruptions", "occlusion", "drift"), ""
    )
    protocol = words | {
        "points": 1024,
        "seeds": [0],
        "parts": ["rotation", "corruption", "occlusion", "points"],
        "elevations": [30],
        "point_counts": [64, 128],
        "c_grid": [1.0],
        "folds": 3,
        "untrained": "calibrated",
    }
    if changes.get("reference"):
        errors[0]["reference"] = {"report": changes["reference"], "checkpoint": LAST}
    return RobustnessReport.model_validate(
        {
            "rows": rows,
            "drift": drift,
            "corruption_errors": errors,
            "protocol": protocol | changes.get("protocol", {}),
            "data": DATA,
            "versions": VERSIONS,
            "checkpoint": changes.get("checkpoint", LAST),
        }
    )


def generation(has_prior=True, **protocol):
    latents = {"items": 40, "dimensions": 8, "active_units": 7, "active_above_variance": 0.01}
    likeness = {"mmd": 0.1, "cov": 0.5, "1nna": 0.9}
    counts = {"jsd": 0.1, "samples": 30, "references": 30, "points": 16}
    none = {"note": "none"}
    information = {"estimate": 6.0, "stderr": 0.1, "log_n": 6.4, "rate": 7.0, "aggregate_kl": 1.0}
    density = {"kl": 400.0, "kl_per_dimension": [50.0] * 8}
    density["mutual_information"] = information | {"saturated": False}
    words = dict.fromkeys(("reconstruction", "normalization", "distances", "latents"), "")
    numbers = {"count": 30, "points": 512, "encoded_points": 32, "threshold": 0.05}
    numbers |= {"emd_pairs": 100, "baseline": False, "seed": 0, "decoded_points": 16}
    distances = {"chamfer_mean": 0.1, "chamfer_max": 0.1, "f_score": 0.5, "emd": 0.1}
    samples = {"samples": {"cd": likeness, "emd": likeness} | counts}
    return GenerationReport.model_validate(
        {
            "reconstruction": {"chamfer_squared_sum": 0.02} | distances,
            "latents": latents | (density if has_prior else none),
            "generation": samples if has_prior else none,
            "protocol": words | numbers | protocol,
            "data": DATA,
            "versions": VERSIONS,
            "checkpoint": LAST,
        }
    )


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
    found = {name: figure.read(generation()) for name, figure in figures_of("generation").items()}
    assert found["chamfer"] == pytest.approx(20)
    assert found["nearest"] == 0.9
    assert (found["mutual_information"], found["log_n"]) == (6.0, 6.4)
    no_prior = generation(has_prior=False)
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
    of_runs = {"robustness": [robustness(), robustness(0.8)], "generation": [generation()] * 2}
    measured = {m: describe_figures(reports, figures_of(m)) for m, reports in of_runs.items()}
    measures = {"robustness": {"seeds": 1, "points": 1024}, "generation": {"count": 30}}
    text = format_report(
        summary_of(arm_of("cr", measured=measured), arm_of("vae"), measures=measures)
    )
    assert "| cr | 70.0 ± 0.0 | 50.0 ± 0.0 | 55.0 ± 7.1 | 0.80 ± 0.00 | 30.0 ± 0.0 |" in text
    assert "with 1 draw a run" in text
    assert "Shapes have 1,024 points, whatever" in text
    assert "30 samples of the prior stand against 30 test shapes" in text
    assert "| cr | 20.00 ± 0.00 | 0.100 ± 0.000 | 90.0 ± 0.0 | 7.0 ± 0.0 |" in text
    assert "| vae" not in text


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("text", ["{", "[]", '{"rows": 3}'])
def test_another_file_is_refused(tmp_path, measure, text):
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(UserError, match="is damaged, or of another version: make it anew"):
        read_measurement(path, measure)


@pytest.mark.parametrize(
    ("measure", "asked", "report", "is_taken"),
    [
        ("robustness", {"seeds": 1}, robustness(), True),
        ("robustness", {"seeds": 1}, robustness(protocol={"parts": ["rotation"]}), False),
        ("robustness", {"seeds": 1}, robustness(protocol={"points": 512}), False),
        ("robustness", {"seeds": 1}, robustness(protocol={"seeds": [0, 1]}), False),
        ("robustness", {"seeds": 1}, robustness(protocol={"untrained": "initial"}), False),
        ("robustness", {"seeds": 1}, robustness(checkpoint=LAST | {"which": "best"}), False),
        ("robustness", {"seeds": 1}, robustness(reference="other.json"), False),
        ("generation", {"count": 30}, generation(), True),
        ("generation", {"count": 30}, generation(seed=1), False),
        ("generation", {"count": 30}, robustness(), False),
    ],
)
def test_what_was_measured_otherwise_is_measured_again(tmp_path, measure, asked, report, is_taken):
    run = SimpleNamespace(folder=tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text("{}")
    measures = MeasuresOfStudy.model_validate({measure: asked})
    report.write(tmp_path / f"{measure}.json")
    assert is_measured(run, measure, measures) is is_taken


def test_a_report_that_does_not_say_has_untrained_encoders_as_initialised():
    plain = robustness().plain()
    del plain["protocol"]["untrained"]
    assert RobustnessReport.model_validate(plain).protocol.untrained == "initial"


@pytest.mark.parametrize("is_of_them", [True, False])
def test_a_measurement_is_of_the_weights_it_names_whenever_it_was_written(tmp_path, is_of_them):
    write_export(point_vae(), tmp_path)
    sha256 = recorded_sha256(tmp_path) if is_of_them else "0" * 64
    path = tmp_path / "robustness.json"
    robustness(checkpoint=LAST | {"weights_sha256": sha256}).write(path)
    time = 0 if is_of_them else 2**31  # long before the weights were written, or long after
    os.utime(path, (time, time))
    measures = MeasuresOfStudy.model_validate({"robustness": {"seeds": 1}})
    run = SimpleNamespace(folder=tmp_path)
    assert is_measured(run, "robustness", measures) is is_of_them
