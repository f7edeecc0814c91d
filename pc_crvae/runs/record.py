"""What runs recorded while they trained, against the time it took."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pc_crvae.config import load_config
from pc_crvae.errors import UserError
from pc_crvae.runs.folder import Run

_PLACES = ("split", "step", "epoch")


@dataclass(frozen=True)
class Curve:
    """One recorded quantity of one run.

    Attributes:
        name: of the run's folder.
        epochs: where it was recorded.
        minutes: of training until then, without the time of evaluation and saving, and without
            that between an interruption and its resumption.
        values: the quantity.
    """

    name: str
    epochs: tuple[float, ...]
    minutes: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Record:
    """All that one run recorded, by split and name.

    Attributes:
        curves: of each number, where it was finite.
        lists: the last of each list of numbers, such as ``kl_per_dimension``.
    """

    curves: Mapping[tuple[str, str], Curve]
    lists: Mapping[tuple[str, str], tuple[float, ...]]


def read_curve(folder: Path, quantity: str, split: str = "validation") -> Curve:
    """Read a quantity of a run, such as ``probe_accuracy`` or ``log_likelihood``.

    Raises:
        UserError: there is no run, its record is damaged, or it never recorded the quantity.
    """
    curves = read_record(folder).curves
    if (split, quantity) not in curves:
        recorded = sorted(name for of_split, name in curves if of_split == split)
        raise UserError(
            f"{folder} never recorded {quantity} of {split}: it has "
            f"{', '.join(recorded) or 'nothing of that split'}"
        )
    return curves[split, quantity]


def read_record(folder: Path) -> Record:
    """Read all that a run recorded.

    Raises:
        UserError: there is no run, or its record is damaged.
    """
    run = Run(folder)
    if not run.metrics.is_file():
        raise UserError(f"{folder} is no run: it has no {run.metrics.name}")
    batch_size = load_config(run.config).training.batch_size
    points: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    lists: dict[tuple[str, str], tuple[float, ...]] = {}
    seconds, step = 0.0, 0
    for number, text in enumerate(run.metrics.read_bytes().splitlines(), start=1):
        try:
            line = json.loads(text)
            split, epoch = str(line["split"]), float(line["epoch"])
            if split == "train":
                # The speed is the mean since the line before.
                seconds += (line["step"] - step) * batch_size / line["items_per_second"]
                step = line["step"]
            for name, value in line.items():
                if name in _PLACES:
                    continue
                if isinstance(value, list):
                    lists[split, name] = tuple(float(part) for part in value)
                elif _is_number(value):
                    found = points.setdefault((split, name), [])
                    found.append((epoch, seconds / 60, float(value)))
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
            raise UserError(f"{run.metrics}, line {number}, is damaged") from None
    name = folder.resolve().name
    return Record({key: _curve(name, found) for key, found in points.items()}, lists)


def _is_number(value: Any) -> bool:
    """Whether it is one to draw; the record holds null where there was none."""
    return isinstance(value, int | float) and math.isfinite(value)


def _curve(name: str, points: Sequence[tuple[float, float, float]]) -> Curve:
    epochs, minutes, values = zip(*points, strict=True)
    return Curve(name, epochs, minutes, values)
