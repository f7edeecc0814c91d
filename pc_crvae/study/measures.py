"""What the commands ``robustness`` and ``generation`` found of a study's runs."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pc_crvae.errors import UserError
from pc_crvae.study.figures import Figure, Report
from pc_crvae.study.schema import Measure

_REPRESENTATION = "posterior_mean"


def robustness_figures(features: str) -> Mapping[str, Figure]:
    """The figures of a robustness report that are tabulated, all of the posterior mean.

    Args:
        features: of which encoder, ``trained`` or ``untrained``.
    """

    def accuracy(part: str, **which: Any) -> Callable[[Report], float | None]:
        """Mean over the rows of a part that agree with ``which``."""
        asked = {"features": features, "representation": _REPRESENTATION, "part": part, **which}
        return _mean_over("rows", "accuracy_mean", asked)

    def drift(value: str, how: str) -> Callable[[Report], float | None]:
        return _mean_over("drift", value, {"features": features, "condition": how})

    def corruption_error(report: Report) -> float | None:
        (row,) = (
            row
            for row in report["corruption_errors"]
            if (row["features"], row["representation"]) == (features, _REPRESENTATION)
        )
        return None if row["mce_mean"] is None else float(row["mce_mean"])

    on_aligned = {"fitted_on": "aligned"}
    return {
        "z_z": Figure("z / z", accuracy("rotation", fitted_on="z", condition="z"), "%", 1),
        "so3_so3": Figure(
            "SO(3) / SO(3)", accuracy("rotation", fitted_on="so3", condition="so3"), "%", 1
        ),
        "corrupted": Figure("corrupted", accuracy("corruption", **on_aligned), "%", 1),
        "mce": Figure("mCE", corruption_error, "", 2),
        "occluded": Figure("occluded", accuracy("occlusion", **on_aligned), "%", 1),
        "sparse": Figure("64 points", accuracy("points", level=64, **on_aligned), "%", 1),
        "cosine_z": Figure("cosine under z", drift("centered_cosine", "z"), "", 2),
        "cosine_so3": Figure("cosine under SO(3)", drift("centered_cosine", "so3"), "", 2),
        "kl_z": Figure("KL under z", drift("kl", "z"), "nats", 0),
    }


def _inner(*names: str) -> Callable[[Report], float | None]:
    """What lies under these names, None where a name is missing or holds nothing."""

    def read(report: Report) -> float | None:
        found: Any = report
        for name in names:
            found = found.get(name)
            if found is None:
                return None
        return float(found)

    return read


GENERATION_FIGURES: Mapping[str, Figure] = {
    "chamfer": Figure(
        "Chamfer x 1,000", lambda r: 1000 * r["reconstruction"]["chamfer_squared_sum"], "", 2
    ),
    "emd": Figure("EMD", _inner("reconstruction", "emd"), "", 3),
    "nearest": Figure(
        "1-NNA of samples (CD)", _inner("generation", "samples", "cd", "1nna"), "%", 1
    ),
    "active_units": Figure("active units", _inner("latents", "active_units"), "", 1),
    "kl": Figure("KL to the prior", _inner("latents", "kl"), "nats", 1),
    "mutual_information": Figure(
        "MI", _inner("latents", "mutual_information", "estimate"), "nats", 2
    ),
    "log_n": Figure("its bound log N", _inner("latents", "mutual_information", "log_n"), "nats", 2),
}


def figures_of(measure: Measure, features: str = "trained") -> Mapping[str, Figure]:
    """The figures that are tabulated of a measure's reports; those of generation are of runs."""
    return robustness_figures(features) if measure == "robustness" else GENERATION_FIGURES


def read_measurement(path: Path, measure: Measure) -> Report:
    """Read what a measure's command wrote.

    Raises:
        UserError: it is not such a report.
    """
    try:
        report: Report = json.loads(path.read_text(encoding="utf-8"))
        for figure in figures_of(measure).values():
            figure.read(report)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"{path} is not a report that {measure} wrote: remove it, and the study makes it anew"
        ) from None
    return report


def _mean_over(
    table: str, value: str, asked: Mapping[str, Any]
) -> Callable[[Report], float | None]:
    def read(report: Report) -> float | None:
        found = [row[value] for row in report[table] if asked.items() <= row.items()]
        return None if not found or None in found else float(np.mean(found))

    return read
