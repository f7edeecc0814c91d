"""Grey levels made black and white at random: each pixel is 1 with its level as probability.

With dynamic binarisation (Burda et al. 2016; Salakhutdinov & Murray 2008 for MNIST) the observation
is the drawn image, drawn anew each time a grey one is visited. A transform acts on the grey image,
and its result is binarised like the original: `binarize` is what a training objective observes by.
"""

from torch import Tensor

from pc_crvae.randomness.draws import Draws


def binarize(images: Tensor, draws: Draws) -> Tensor:
    """Draw black and white pixels of grey ``images`` (B, ...) in [0, 1], independently."""
    uniform = draws.uniform(*images.shape[1:]).to(images.device)
    return (uniform < images).to(images)
