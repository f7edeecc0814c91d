"""What the evaluations of a study's runs of images add up to."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pc_crvae.errors import UserError
from pc_crvae.study.figures import Figure, Report, describe_figures, over_seeds
from pc_crvae.study.plan import PlannedRun


def _accuracy(classifier: str) -> Callable[[Report], float | None]:
    def read(report: Report) -> float | None:
        found = report["classifiers"]
        return None if found is None else float(found[classifier]["accuracy"])

    return read


def _inner(figure: str, value: str) -> Callable[[Report], float | None]:
    def read(report: Report) -> float | None:
        return None if report[figure] is None else float(report[figure][value])

    return read


FIGURES: Mapping[str, Figure] = {
    "nll": Figure("NLL", _inner("nll", "mean")),
    "elbo": Figure("ELBO", _inner("elbo", "mean")),
    "rate": Figure("rate", _inner("rate", "mean")),
    "distortion": Figure("distortion", _inner("distortion", "mean")),
    "mutual_information": Figure("MI", _inner("mutual_information", "estimate")),
    "active_units": Figure("active units", lambda report: float(report["active_units"]), "", 1),
    "consistency_kl": Figure("consistency KL", _inner("consistency_kl", "mean")),
    "linear_svm": Figure("linear SVM", _accuracy("linear_svm"), "%"),
    "logistic_regression": Figure("logistic regression", _accuracy("logistic_regression"), "%"),
    "knn": Figure("kNN", _accuracy("knn"), "%"),
}


def read_evaluation(path: Path) -> Report:
    """Read what ``evaluate`` wrote.

    Raises:
        UserError: it is not such a report.
    """
    try:
        report: Report = json.loads(path.read_text(encoding="utf-8"))
        for figure in FIGURES.values():
            figure.read(report)
        _images(report)
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{path} is not a report that evaluate wrote: remove it, and the study makes it anew"
        ) from None
    return report


def describe_evaluations(reports: Sequence[Report]) -> dict[str, dict[str, Any]]:
    """Mean and spread over runs, as `describe_figures` gives them.

    Args:
        reports: of an arm's runs, one a training seed.

    Returns:
        Of mutual information also ``log_n`` and ``saturated``, the number of runs whose estimate
        is so near to log N that it cannot be ranked by.
    """
    found = describe_figures(reports, FIGURES)
    if "mutual_information" in found:
        information = [report["mutual_information"] for report in reports]
        found["mutual_information"] |= {
            "log_n": information[0]["log_n"],
            "saturated": sum(bool(of_run["saturated"]) for of_run in information),
        }
    return found


def figure_differences(
    pair: tuple[str, str], reports: tuple[Mapping[int, Report], Mapping[int, Report]]
) -> list[dict[str, Any]]:
    """How the figures of two arms differ, seed by seed.

    Args:
        pair: the arms' names.
        reports: of each, by training seed.

    Raises:
        UserError: they are of different images.
    """
    seeds = [seed for seed in reports[0] if seed in reports[1]]
    rows = []
    for name, figure in FIGURES.items():
        of_seeds = []
        for seed in seeds:
            first, second = (figure.read(side[seed]) for side in reports)
            if first is not None and second is not None:
                of_seeds.append(first - second)
        if of_seeds and len(of_seeds) == len(seeds):
            rows.append(
                {"first": pair[0], "second": pair[1], "figure": name, **over_seeds(of_seeds)}
                | {"training_seeds": seeds}
            )
    if rows and len({_images(side[seed]) for side in reports for seed in seeds}) > 1:
        raise UserError(
            f"the arms {pair[0]} and {pair[1]} were evaluated on different images, so they cannot "
            "be compared: give all arms the same data"
        )
    return rows


def describe_cut(run: PlannedRun, report: Report) -> dict[str, Any]:
    """How many images the evaluation of a run is of."""
    protocol, data = report["protocol"], report["data"]
    split = protocol["split"]
    fitted = min(protocol["train_items"], data["train"]["count"])
    return {
        "name": protocol["data"],
        "trained_validation_fraction": run.config.data.validation_fraction,
        "evaluated": protocol["evaluated_items"],
        "split": split,
        "of_split": data[split]["count"],
        "classifiers_fitted_on": None if report["classifiers"] is None else fitted,
        "train": data["train"]["count"],
        "samples": protocol["samples"],
        "seed": protocol["seed"],
        "transform": report["consistency_kl"] and report["consistency_kl"]["transform"],
        "sha256": {"train": data["train"]["sha256"], split: data[split]["sha256"]},
    }


def _images(report: Report) -> tuple[Any, ...]:
    protocol = report["protocol"]
    data = report["data"][protocol["split"]]
    names = ("evaluated_items", "seed", "samples", "train_items")
    return data["sha256"], report["data"]["train"]["sha256"], *(protocol[name] for name in names)
