"""Schedules as pure functions of the step, so that resuming has no state to restore."""

import math
from dataclasses import dataclass

from pc_crvae.config import Config


@dataclass(frozen=True)
class Schedule:
    """What the number of a step says about it.

    Attributes:
        config: the experiment.
        items: the number of items in the training set.
    """

    config: Config
    items: int

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in the training set."""
        return self.items // self.config.training.batch_size

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        options = self.config.training
        return options.steps or (options.epochs or 0) * self.steps_per_epoch

    @property
    def epochs(self) -> int:
        """Epochs of the whole run, the last of which may not be a whole one."""
        return -(-self.total // self.steps_per_epoch)

    def ends_epoch(self, step: int) -> bool:
        """Whether an epoch, or the run, has ended after ``step`` steps."""
        return step % self.steps_per_epoch == 0 or step == self.total

    def learning_rate(self, step: int) -> float:
        """The learning rate of step ``step``, from 0.

        It rises linearly during the warm-up, then stays, or falls to zero along half a cosine
        (Loshchilov & Hutter 2017).
        """
        options = self.config.training
        warmup = round(options.warmup_epochs * self.steps_per_epoch)
        factor = 1.0
        if step < warmup:
            factor = (step + 1) / (warmup + 1)
        elif options.schedule == "cosine":
            progress = (step - warmup) / max(1, self.total - warmup)
            factor = 0.5 * (1 + math.cos(math.pi * progress))
        return options.learning_rate * factor

    def warmups(self, step: int) -> tuple[float, float]:
        """The factors of step ``step`` on beta and on lambda."""
        consistency = self.config.consistency
        beta_epochs = getattr(self.config.objective, "warmup_epochs", 0.0)
        lambda_epochs = consistency.warmup_epochs if consistency else 0.0
        return (
            warmup_factor(step, beta_epochs * self.steps_per_epoch),
            warmup_factor(step, lambda_epochs * self.steps_per_epoch),
        )

    def consistency_weight(self, step: int) -> float:
        """Lambda at step ``step``; 0 without consistency."""
        consistency = self.config.consistency
        return consistency.weight * self.warmups(step)[1] if consistency else 0.0


def warmup_factor(step: int, warmup: float) -> float:
    """Factor in [0, 1] that rises linearly over ``warmup`` steps, for beta and lambda."""
    return 1.0 if step >= warmup else step / warmup
