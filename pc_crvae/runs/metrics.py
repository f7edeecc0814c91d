"""The record of a run: ``metrics.jsonl``, one JSON object a line, and TensorBoard events."""

import importlib.util
import io
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from torch import Tensor

from pc_crvae.errors import UserError
from pc_crvae.objectives.base import Terms


class MetricsRecord:
    """Appends to the record of a run.

    Args:
        path: ``metrics.jsonl``, or None to record nothing (all processes but the first).
        events: folder of TensorBoard's events, or None for none; unused where it is not installed.
        resume_at: bytes of ``path`` that belong to the state resumed from; what a killed run
            wrote after it is cut off. None starts anew.
        step: the step resumed at; later events are hidden by TensorBoard.

    Attributes:
        note: a sentence for the user, where ``path`` has lost lines; None where it has not.
    """

    def __init__(
        self, path: Path | None, events: Path | None, *, resume_at: int | None = None, step: int = 0
    ) -> None:
        self._path = path
        self._file: TextIO
        self.note: str | None = None
        if path is None:
            self._file = io.StringIO()
        elif resume_at is None:
            self._file = path.open("w", encoding="utf-8")
        else:
            lines = _whole_lines(path, resume_at)
            if len(lines) < resume_at:
                self.note = (
                    f"note: {path} has lost lines from before the checkpoint, {len(lines)} of its "
                    f"{resume_at} bytes are left: training goes on, and its curves have a gap"
                )
            self._file = path.open("a+", encoding="utf-8")
            self._file.truncate(len(lines))
            self._file.seek(len(lines))
        self._events = _event_writer(events, step) if events and has_tensorboard() else None

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._events:
            self._events.close()

    def synced_size(self) -> int:
        """Bytes written so far, all of them on the disk.

        Raises:
            UserError: the file was removed or replaced meanwhile, and with it what is recorded.
        """
        self._file.flush()
        if self._path is not None:
            os.fsync(self._file.fileno())
            try:
                is_there = os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
            except FileNotFoundError:
                is_there = False
            if not is_there:
                raise UserError(
                    f"{self._path} was removed or replaced while training wrote to it: leave the "
                    "folder of a run alone while it trains, and resume the run"
                )
        return self._file.tell()

    def add(self, split: str, step: int, epoch: float, values: Mapping[str, Any]) -> None:
        """Record scalars, and lists of them, of one moment; JSON holds null for an infinity."""
        line = {"split": split, "step": step, "epoch": round(epoch, 4)}
        line |= {name: None if _is_not_finite(value) else value for name, value in values.items()}
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._file.flush()
        if self._events:
            for name, value in values.items():
                if isinstance(value, list):
                    self._events.add_histogram(f"{split}/{name}", np.array(value), step)
                else:
                    self._events.add_scalar(f"{split}/{name}", value, step)

    def add_picture(self, name: str, step: int, image: np.ndarray) -> None:
        """Record an image (H, W, 3) uint8; TensorBoard only."""
        if self._events:
            self._events.add_image(name, image, step, dataformats="HWC")


class RunningMean:
    """Mean over steps of the batch means of per-sample terms."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.steps = 0

    def add(self, means: Mapping[str, float]) -> None:
        """Add one step's means."""
        for name, value in means.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.steps += 1

    def take(self) -> dict[str, float]:
        """The means since the last call, starting over."""
        means = {name: total / self.steps for name, total in self.sums.items()}
        self.sums, self.steps = {}, 0
        return means


def scalar_means(terms: Terms) -> dict[str, Tensor]:
    """Batch means of the per-sample terms (B,), leaving out those per dimension (B, D)."""
    return {name: torch.mean(term.detach()) for name, term in terms.items() if term.ndim == 1}


def has_tensorboard() -> bool:
    """Whether TensorBoard is installed, without which no events are written."""
    return importlib.util.find_spec("tensorboard") is not None


def _whole_lines(path: Path, size: int) -> bytes:
    """The whole lines among the first ``size`` bytes of a file; none where it is missing."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        content = file.read(size)
    return content[: content.rfind(b"\n") + 1]


def _event_writer(folder: Path, step: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(folder, purge_step=step + 1 if step else None)


def _is_not_finite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
