"""Numbers that the reports of a study's runs hold, and their mean and spread over seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Report = dict[str, Any]
"""What a command wrote as JSON."""


@dataclass(frozen=True)
class Figure:
    """One of the numbers of a report, and how it is shown.

    Attributes:
        title: what tables and plots call it.
        read: its value in a report, None where the report has none.
        unit: ``nats``, ``%`` of a share in [0, 1], or nothing.
        digits: decimals shown.
    """

    title: str
    read: Callable[[Report], float | None]
    unit: Literal["nats", "%", ""] = "nats"
    digits: int = 2

    @property
    def factor(self) -> int:
        """From the value to what is shown."""
        return 100 if self.unit == "%" else 1


def describe_figures(
    reports: Sequence[Report], figures: Mapping[str, Figure]
) -> dict[str, dict[str, Any]]:
    """Mean and spread over runs of every figure that all of them have.

    Args:
        reports: of an arm's runs, one a training seed.
        figures: by name.

    Returns:
        By figure, ``mean``, ``std`` (None of a single run) and ``of_seeds``.
    """
    found = {}
    for name, figure in figures.items():
        values = [figure.read(report) for report in reports]
        if values and None not in values:
            found[name] = over_seeds([value for value in values if value is not None])
    return found


def over_seeds(of_seeds: Sequence[float]) -> dict[str, Any]:
    """Mean and sample standard deviation; None of no value, and no spread of a single one."""
    return {
        "mean": float(np.mean(of_seeds)) if of_seeds else None,
        "std": float(np.std(of_seeds, ddof=1)) if len(of_seeds) > 1 else None,
        "of_seeds": list(of_seeds),
    }
