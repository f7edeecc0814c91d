"""Numbers that the reports of a study's runs hold, and their mean and spread over seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from pc_crvae.evaluation.reports import Report
from pc_crvae.study.results import Accuracy, Spread

R = TypeVar("R", bound=Report)


@dataclass(frozen=True)
class Figure(Generic[R]):
    """One of the numbers of a report, and how it is shown.

    Attributes:
        title: what tables and plots call it.
        value: the place of its value in a report, such as ``nll.mean``, or what reads it; None
            where the report has none.
        unit: ``nats``, ``%`` of a share in [0, 1], or nothing.
        digits: decimals shown.
    """

    title: str
    value: str | Callable[[R], float | None]
    unit: Literal["nats", "%", ""] = "nats"
    digits: int = 2

    def read(self, report: R) -> float | None:
        """Return its value in a report, None where the report has none."""
        if not isinstance(self.value, str):
            return self.value(report)
        found: Any = report
        for name in self.value.split("."):
            if found is None:
                return None
            found = found[name] if isinstance(found, dict) else getattr(found, name)
        return None if found is None else float(found)

    @property
    def factor(self) -> int:
        """From the value to what is shown."""
        return 100 if self.unit == "%" else 1


def describe_figures(reports: Sequence[R], figures: Mapping[str, Figure[R]]) -> dict[str, Spread]:
    """Return mean and spread over runs of every figure that all of them have.

    Args:
        reports: the reports of an arm's runs, one a training seed.
        figures: the figures by name.
    """
    found = {}
    for name, figure in figures.items():
        values = [figure.read(report) for report in reports]
        known = [value for value in values if value is not None]
        if values and len(known) == len(values):
            found[name] = over_seeds(known)
    return found


def has(part: object, values: Mapping[str, object]) -> bool:
    """Whether a part of a report has these values, by the names of its fields."""
    return all(getattr(part, name) == value for name, value in values.items())


def accuracy_of(
    representation: str,
    setting: str,
    of_seeds: Sequence[float],
    spread_over: Literal["probe seeds", "training seeds"],
) -> Accuracy:
    """Mean and spread of the accuracies of a row of the probe."""
    return Accuracy(
        **over_seeds(of_seeds).plain(),
        representation=representation,
        setting=setting,
        spread_over=spread_over,
    )


def over_seeds(of_seeds: Sequence[float]) -> Spread:
    """Mean and sample standard deviation; None of no value, and no spread of a single one."""
    return Spread(
        mean=float(np.mean(of_seeds)) if of_seeds else None,
        std=float(np.std(of_seeds, ddof=1)) if len(of_seeds) > 1 else None,
        of_seeds=tuple(of_seeds),
    )
