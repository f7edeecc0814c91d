"""What runs recorded while they trained, against the time it took."""

import json
from dataclasses import dataclass
from pathlib import Path

from pc_crvae.config import load_config
from pc_crvae.errors import UserError
from pc_crvae.runs import Run


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


def read_curve(folder: Path, quantity: str, split: str = "validation") -> Curve:
    """Read a quantity of a run, such as ``probe_accuracy`` or ``log_likelihood``.

    Raises:
        UserError: there is no run, its record is damaged, or it never recorded the quantity.
    """
    run = Run(folder)
    if not run.metrics.is_file():
        raise UserError(f"{folder} is no run: it has no {run.metrics.name}")
    batch_size = load_config(run.config).training.batch_size
    epochs, minutes, values = [], [], []
    recorded: set[str] = set()
    seconds, step = 0.0, 0
    for number, text in enumerate(run.metrics.read_text().splitlines(), start=1):
        try:
            line = json.loads(text)
            if line["split"] == "train":
                # The speed is the mean since the line before.
                seconds += (line["step"] - step) * batch_size / line["items_per_second"]
                step = line["step"]
            if line["split"] == split:
                recorded |= {name for name, value in line.items() if isinstance(value, float)}
                if isinstance(line.get(quantity), int | float):
                    epochs.append(float(line["epoch"]))
                    minutes.append(seconds / 60)
                    values.append(float(line[quantity]))
        except (ValueError, KeyError, TypeError, ZeroDivisionError):
            raise UserError(f"{run.metrics}, line {number}, is damaged") from None
    if not values:
        raise UserError(
            f"{folder} never recorded {quantity} of {split}: it has "
            f"{', '.join(sorted(recorded - {'epoch'})) or 'nothing of that split'}"
        )
    return Curve(folder.resolve().name, tuple(epochs), tuple(minutes), tuple(values))
