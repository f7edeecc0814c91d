"""Reports and a study's summary, as small as tables can be made of."""

from typing import Any

from pc_crvae.evaluation.images.report import ImageReport
from pc_crvae.study.results import ArmResult, StudySummary

VERSIONS = {"torch": "2.0"}


def cut_of(split: str = "test", sha256: str = "a", count: int = 10) -> dict[str, Any]:
    """A cut of a data set."""
    return {
        "name": "tiny",
        "split": split,
        "count": count,
        "classes": ["a", "b"],
        "sha256": sha256,
    }


def image_report(
    nll: float = 90.0,
    information: float = 3.0,
    saturated: bool = False,
    svm: float = 0.9,
    images: str = "a",
    items: int = 10,
    **changes: Any,
) -> ImageReport:
    """What ``evaluate`` found of a run, with some values of one's own."""
    figure = {"mean": 1.0, "stderr": 0.1}
    score = {"accuracy": svm, "chosen": 1.0, "converged": True, "train_items": 40, "test_items": 10}
    words = (
        "device observations nll elbo mutual_information consistency_kl transform "
        "classifier_features transform_from"
    )
    values = {
        "nll": {
            "mean": nll,
            "stderr": 0.5,
            "bits_per_dimension": None,
            "samples": 500,
            "effective_sample_size": {"mean": 90.0, "median": 90.0, "min": 10.0},
            "items": items,
        },
        "elbo": figure,
        "rate": figure,
        "distortion": figure,
        "kl_per_dimension": [1.0],
        "kl_per_group": [1.0],
        "mutual_information": {
            "estimate": information,
            "stderr": 0.1,
            "log_n": 7.6,
            "rate": 4.0,
            "aggregate_kl": 1.0,
            "saturated": saturated,
        },
        "mutual_information_top_group": None,
        "active_units": 5,
        "dimensions": 8,
        "consistency_kl": figure | {"per_group": [1.0], "floor": figure, "transform": "t"},
        "classifiers": dict.fromkeys(("linear_svm", "logistic_regression", "knn"), score),
        "notes": [],
        "protocol": dict.fromkeys(words.split(), "")
        | {
            "samples": 500,
            "items": None,
            "train_items": 40,
            "elbo_samples": 10,
            "seed": 0,
            "evaluated_items": items,
            "likelihood": {},
            "active_above_variance": 0.01,
            "classifiers": {},
            "data": "tiny",
            "split": "test",
        },
        "data": {"train": cut_of("train", "t", 50), "test": cut_of(sha256=images)},
        "versions": VERSIONS,
    }
    return ImageReport.model_validate(values | changes)


def arm_of(name: str, **more: Any) -> ArmResult:
    """An arm of two seeds of which nothing is known but what is given."""
    values = {"name": name, "about": "", "seeds": [0, 1], "measured": {}, "rows": []}
    return ArmResult.model_validate(values | more)


def summary_of(*arms: ArmResult, **more: Any) -> StudySummary:
    """A summary of which nothing is known but what is given."""
    values = {
        "title": "t",
        "question": "",
        "study": "t.yaml",
        "out": "runs/t",
        "split": "test",
        "seeds": [0, 1],
        "level": 0.95,
        "method": "m",
        "runs": [],
        "data": [],
        "protocol": None,
        "versions": None,
        "measures": {},
        "evaluated": None,
        "arms": arms,
        "differences": [],
        "figure_differences": [],
    }
    return StudySummary.model_validate(values | more)
