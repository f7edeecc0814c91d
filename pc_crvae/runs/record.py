"""What runs recorded while they trained, against the time it took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from pc_crvae.config import load_config
from pc_crvae.errors import UserError, told
from pc_crvae.runs.folder import Run

_Value = int | float | None | list[float]


class Moment(BaseModel):
    """One line of a run's record.

    Attributes:
        split: ``train`` or ``validation``.
        step: steps done.
        epoch: epochs done.
    """

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, _Value]

    split: str
    step: int
    epoch: float

    @model_validator(mode="after")
    def _has_a_speed(self) -> Self:
        if self.split == "train" and self.speed <= 0:
            raise ValueError("a moment of training has a speed")
        return self

    @property
    def values(self) -> Mapping[str, _Value]:
        """Numbers and lists of them by name; null stands for one that was not finite."""
        return self.model_extra or {}

    @property
    def speed(self) -> float:
        """Items per second, the mean since the moment before; 0 where the record has none."""
        speed = self.values.get("items_per_second")
        return speed if isinstance(speed, int | float) else 0.0


@dataclass(frozen=True)
class Curve:
    """One recorded quantity of one run.

    Attributes:
        name: the name of the run's folder.
        epochs: the moment of the record, in epochs.
        minutes: minutes of training until then, without the time of evaluation and saving, and
            without that between an interruption and its resumption.
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
        curves: the curve of each number, where it was finite.
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
    for moment in read_moments(run):
        if moment.split == "train":
            # The speed is the mean since the moment before.
            seconds += (moment.step - step) * batch_size / moment.speed
            step = moment.step
        for name, value in moment.values.items():
            if isinstance(value, list):
                lists[moment.split, name] = tuple(value)
            elif value is not None:
                found = points.setdefault((moment.split, name), [])
                found.append((moment.epoch, seconds / 60, value))
    name = folder.resolve().name
    return Record({key: _curve(name, found) for key, found in points.items()}, lists)


def read_moments(run: Run) -> list[Moment]:
    """Read the record of a run line by line.

    Half of a last line is left out: a kill can leave one, which the resumed run writes anew.

    Raises:
        UserError: the record is missing or damaged.
    """
    with told(f"cannot read {run.metrics}", OSError):
        texts = run.metrics.read_bytes().split(b"\n")
    moments = []
    for number, text in enumerate(texts[:-1], start=1):
        try:
            moments.append(Moment.model_validate_json(text))
        except ValidationError:
            raise UserError(f"{run.metrics}, line {number}, is damaged") from None
    return moments


def _curve(name: str, points: Sequence[tuple[float, float, float]]) -> Curve:
    epochs, minutes, values = zip(*points, strict=True)
    return Curve(name, epochs, minutes, values)
