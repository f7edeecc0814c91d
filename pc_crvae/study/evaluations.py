"""What the evaluations of a study's runs of images add up to."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pc_crvae.errors import UserError
from pc_crvae.study.plan import PlannedRun

_Report = dict[str, Any]


def _accuracy(classifier: str) -> Callable[[_Report], float | None]:
    def read(report: _Report) -> float | None:
        found = report["classifiers"]
        return None if found is None else float(found[classifier]["accuracy"])

    return read


def _inner(figure: str, value: str) -> Callable[[_Report], float | None]:
    def read(report: _Report) -> float | None:
        return None if report[figure] is None else float(report[figure][value])

    return read


@dataclass(frozen=True)
class Figure:
    """One of the numbers of an evaluation, and how it is shown.

    Attributes:
        title: what tables and plots call it.
        read: its value in a report, None where the report has none.
        unit: ``nats``, ``%`` of a share in [0, 1], or nothing.
        digits: decimals shown.
    """

    title: str
    read: Callable[[_Report], float | None]
    unit: Literal["nats", "%", ""] = "nats"
    digits: int = 2

    @property
    def factor(self) -> int:
        """From the value to what is shown."""
        return 100 if self.unit == "%" else 1


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


def read_evaluation(path: Path) -> _Report:
    """Read what ``evaluate`` wrote.

    Raises:
        UserError: it is not such a report.
    """
    try:
        report: _Report = json.loads(path.read_text(encoding="utf-8"))
        for figure in FIGURES.values():
            figure.read(report)
        _images(report)
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{path} is not a report that evaluate wrote: remove it, and the study makes it anew"
        ) from None
    return report


def describe_figures(reports: Sequence[_Report]) -> dict[str, dict[str, Any]]:
    """Mean and spread over runs of every figure that all of them have.

    Args:
        reports: of an arm's runs, one a training seed.

    Returns:
        By figure, ``mean``, ``std`` (None of a single run) and ``of_seeds``; of mutual
        information also ``log_n`` and ``saturated``, the number of runs whose estimate is so near
        to log N that it cannot be ranked by.
    """
    found = {}
    for name, figure in FIGURES.items():
        values = [figure.read(report) for report in reports]
        if values and None not in values:
            found[name] = over_seeds([value for value in values if value is not None])
    if "mutual_information" in found:
        information = [report["mutual_information"] for report in reports]
        found["mutual_information"] |= {
            "log_n": information[0]["log_n"],
            "saturated": sum(bool(of_run["saturated"]) for of_run in information),
        }
    return found


def figure_differences(
    pair: tuple[str, str], reports: tuple[Mapping[int, _Report], Mapping[int, _Report]]
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


def describe_cut(run: PlannedRun, report: _Report) -> dict[str, Any]:
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


def over_seeds(of_seeds: Sequence[float]) -> dict[str, Any]:
    """Mean and sample standard deviation; None of no value, and no spread of a single one."""
    return {
        "mean": float(np.mean(of_seeds)) if of_seeds else None,
        "std": float(np.std(of_seeds, ddof=1)) if len(of_seeds) > 1 else None,
        "of_seeds": list(of_seeds),
    }


def _images(report: _Report) -> tuple[Any, ...]:
    protocol = report["protocol"]
    data = report["data"][protocol["split"]]
    names = ("evaluated_items", "seed", "samples", "train_items")
    return data["sha256"], report["data"]["train"]["sha256"], *(protocol[name] for name in names)
