"""The terms of steps, left on the device until they are read, so that no step waits for them."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from pc_crvae.training.limits import is_reported_only


class UnreadTerms:
    """Terms of the steps since the last reading, on the device that computed them.

    Args:
        device: the device that computes the steps.

    Attributes:
        broken: () float32 on the device, 1 from the first step on that had a term or a gradient
            which was not finite. The optimiser takes it as ``found_inf`` and then leaves the
            weights and its own state as they are.
    """

    def __init__(self, device: torch.device) -> None:
        self.broken = torch.zeros((), device=device)
        self._steps: list[tuple[int, float, tuple[str, ...]]] = []
        self._values: list[Tensor] = []

    def add(self, step: int, consistency_weight: float, means: Mapping[str, Tensor]) -> None:
        """Keep the scalars of a step, and mark it where one that counts is not finite."""
        names = tuple(means)
        counted = [
            mean for name, mean in means.items() if not is_reported_only(name, consistency_weight)
        ]
        fails = ~torch.isfinite(torch.stack(counted)).all()
        self.broken = torch.maximum(self.broken, fails.to(self.broken.dtype))
        self._steps.append((step, consistency_weight, names))
        self._values.append(torch.stack(list(means.values())))

    def read(self) -> Iterator[tuple[int, float, dict[str, float]]]:
        """Wait for the device, and yield what is known of each step since the last reading.

        Yields:
            The number of a step, from 0, its consistency weight, lambda, and the batch means of its
            terms and the norm of the gradient, by name.
        """
        if not self._steps:
            return
        values = iter(torch.cat(self._values).tolist())
        steps, self._steps, self._values = self._steps, [], []
        for step, weight, names in steps:
            yield step, weight, {name: next(values) for name in names}


def steps_between_readings(device: torch.device, every_logged: int) -> int:
    """Steps from one reading to the next: all of them on a CPU, where a reading costs nothing.

    Args:
        device: what the steps are computed on.
        every_logged: ``logging.every_steps``.
    """
    return 1 if device.type == "cpu" else every_logged
