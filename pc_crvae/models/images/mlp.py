"""Images as flat vectors: perceptrons either way."""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from pc_crvae.models.checks import ImageShape, check_images, check_latent, check_positive
from pc_crvae.models.mlp import in_full_precision, mlp
from pc_crvae.models.registry import IMAGE_DECODERS, IMAGE_ENCODERS


@IMAGE_ENCODERS.register("mlp")
class MLPEncoder(nn.Module):
    """ReLU perceptrons on all pixels.

    Args:
        shape: (C, H, W) of the images.
        widths: outputs of the perceptrons; the last is ``out_features``.
        batch_norm: normalise within every perceptron.

    Raises:
        ValueError: a size is not positive.
    """

    def __init__(
        self,
        shape: ImageShape,
        widths: Sequence[int] = (1000, 1000, 1000),
        batch_norm: bool = False,
    ) -> None:
        check_positive("MLPEncoder", shape=shape, widths=widths)
        super().__init__()
        self.perceptrons = mlp(prod(shape), widths, batch_norm=batch_norm)
        self.shape = shape
        self.out_features = widths[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Encode ``images`` (B, C, H, W) in [0, 1] to (B, out_features).

        Raises:
            ValueError: ``images`` has another shape.
        """
        check_images(images, self.shape)
        features: Tensor = self.perceptrons(2 * images.flatten(1) - 1)
        return features


@IMAGE_DECODERS.register("mlp")
class MLPDecoder(nn.Module):
    """ReLU perceptrons and a linear that gives the parameters of all pixels.

    Args:
        latent_dim: L.
        shape: (C', H, W) of what is made, C' the likelihood's parameters of a pixel.
        widths: hidden widths.
        batch_norm: normalise within every perceptron.

    Raises:
        ValueError: a size is not positive.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: ImageShape,
        widths: Sequence[int] = (1000, 1000, 1000),
        batch_norm: bool = False,
    ) -> None:
        check_positive("MLPDecoder", latent_dim=latent_dim, shape=shape, widths=widths)
        super().__init__()
        self.perceptrons = mlp(latent_dim, widths, batch_norm=batch_norm)
        self.pixels = nn.Linear(widths[-1], prod(shape))
        self.latent_dim = latent_dim
        self.shape = shape

    def forward(self, latent: Tensor) -> Tensor:
        """Decode ``latent`` (B, L) to the likelihood's parameters (B, C', H, W).

        Raises:
            ValueError: ``latent`` has another shape.
        """
        check_latent(latent, self.latent_dim)
        pixels = in_full_precision(self.pixels, self.perceptrons(latent))
        return pixels.reshape(-1, *self.shape)
