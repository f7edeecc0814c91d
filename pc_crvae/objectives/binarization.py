"""Grey levels made black and white at random: each pixel is 1 with its level as probability.

With dynamic binarisation (Burda et al. 2016; Salakhutdinov & Murray 2008 for MNIST) the observation
is the drawn image, drawn anew each time a grey one is visited. A transform acts on the grey image,
and its result is binarised like the original.
"""

from collections.abc import Callable

from torch import Tensor

from pc_crvae.objectives.base import LatentVariableModel, Terms, TrainingObjective
from pc_crvae.randomness.draws import Draws

BatchTransform = Callable[[Tensor, Draws], Tensor]


def binarize(images: Tensor, draws: Draws) -> Tensor:
    """Draw black and white pixels of grey ``images`` (B, ...) in [0, 1], independently."""
    uniform = draws.uniform(*images.shape[1:]).to(images.device)
    return (uniform < images).to(images)


class DynamicBinarization(TrainingObjective):
    """A training objective of drawn pixels, for grey images.

    The objective within is handed the drawn original and, for its transform, one that gives the
    drawn transformed image. It needs to know nothing of grey levels, nor the model.

    Args:
        model: what is trained.
        make_objective: the objective within for a given transform, of ``model``; it is made anew
            for each batch, so it must hold no weights of its own.
        transform: acts on grey images; None where the objective takes no transform.
    """

    def __init__(
        self,
        model: LatentVariableModel,
        make_objective: Callable[[BatchTransform], TrainingObjective],
        transform: BatchTransform | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.make_objective = make_objective
        self.transform = transform
        make_objective(lambda images, draws: images)  # what it refuses, it refuses now

    def forward(
        self,
        x: Tensor,
        draws: Draws,
        kl_warmup: float = 1.0,
        consistency_warmup: float = 1.0,
    ) -> Terms:
        """Terms of the objective within, of pixels drawn from ``x`` (B, C, H, W) in [0, 1].

        The transform draws first, then the pixels of x, then those of t(x), then what is within.
        """
        grey = None if self.transform is None else self.transform(x, draws)
        pixels = binarize(x, draws)
        transformed = pixels if grey is None else binarize(grey, draws)
        objective = self.make_objective(lambda images, draws: transformed)
        terms: Terms = objective(pixels, draws, kl_warmup, consistency_warmup)
        return terms
