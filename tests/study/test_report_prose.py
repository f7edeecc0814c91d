"""The sentences of a study's report, with every table that it can have."""

import pytest

from helpers.prose import long_sentences, sentences
from helpers.study_summaries import VERSIONS, arm_of, image_report, summary_of
from pc_crvae.evaluation.probe.assembly import describe_protocol
from pc_crvae.evaluation.probe.protocol import ProbeProtocol
from pc_crvae.study.evaluations import describe_evaluations, figure_differences
from pc_crvae.study.markdown import format_report
from pc_crvae.study.summary import METHOD

SPREAD = {"mean": 1.0, "std": 0.1, "of_seeds": [0.9, 1.1]}
ROW = {"representation": "posterior_mean", "setting": "aligned"}
PROBED = {
    "name": "tiny",
    "fitted_on": 2793,
    "scored_on": 635,
    "scored_split": "test",
    "validation_fraction": 0.1,
    "card": {"train": 3991, "validation": None, "test": 908},
    "sha256": {},
}
EVALUATED = {
    "name": "tiny",
    "trained_validation_fraction": 0.1,
    "evaluated": 2000,
    "of_split": 7000,
    "classifiers_fitted_on": 10000,
    "train": 42000,
    "samples": 500,
    "seed": 0,
    "transform": "Affine(max_degrees=15.0)",
    "sha256": {},
}
DIFFERENCE = ROW | {
    "first": "a",
    "second": "b",
    "difference": 0.2,
    "interval": [0.1, 0.3],
    "of_seeds": [0.2, 0.2],
    "training_seeds": [0, 1],
}


@pytest.mark.parametrize("split", ["test", "validation"])
@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_no_sentence_of_a_report_is_too_long_to_be_read_once(split, seeds):
    arm = arm_of(
        "a",
        config="quickstart.yaml",
        rows=[ROW | SPREAD | {"spread_over": "training seeds"}],
        folds=[{"representation": "pooled", "class_mean": SPREAD}],
        figures=describe_evaluations([image_report(saturated=True)]),
        terms={"kl": SPREAD, "consistency": SPREAD},
        measured={"robustness": {"z_z": SPREAD}, "generation": {"chamfer": SPREAD}},
    )
    of_arms = {seed: image_report() for seed in seeds}
    measures = {"robustness": {"seeds": 1, "points": 1024}, "generation": {"count": 30}}
    summary = summary_of(
        arm,
        question="Does it help?",
        split=split,
        method=METHOD,
        data=[PROBED],
        evaluated=EVALUATED | {"split": split},
        protocol=describe_protocol(ProbeProtocol()),
        measures=measures,
        versions=VERSIONS,
        differences=[DIFFERENCE],
        figure_differences=figure_differences(("a", "b"), (of_arms, of_arms)),
    )
    text = format_report(summary, [("a picture", "picture.png")])
    assert len(sentences(text)) > 30
    assert long_sentences(text) == []
