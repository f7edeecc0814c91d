"""The same latent noise for an observation and its transformed version."""

from torch import Tensor

from pc_crvae.latents.posteriors import LatentChain
from pc_crvae.objectives.base import Evaluation, LatentVariableModel, Objective
from pc_crvae.randomness.draws import Draws, keyed_generator


class SharedNoise(Objective):
    """An objective whose every evaluation within a step draws the same latent noise.

    A step's two passes then differ by the transform alone, which lessens the noise in what is
    compared between them. Everything an evaluation draws is shared, in the same order; what is
    drawn outside, the transform included, is untouched.

    Args:
        objective: what is evaluated, whatever the model.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.needs_density = objective.needs_density

    def __call__(
        self,
        model: LatentVariableModel,
        posterior: LatentChain,
        target: Tensor,
        draws: Draws,
        kl_warmup: float = 1.0,
    ) -> Evaluation:
        """Evaluate with draws keyed by the seed of the step's generator, not by its state."""
        generator = draws.generator
        shared = Draws(
            keyed_generator("shared noise", generator.initial_seed(), device=generator.device),
            draws.batch_size,
            draws.rows,
        )
        return self.objective(model, posterior, target, shared, kl_warmup)
