"""Images by stride-2 convolutions, and the mirror of them.

Features are kept channels last in memory, the order in which convolutions on a CPU are fastest and
batch-norm reads them in place.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pc_crvae.models.checks import ImageShape, check_images, check_latent, check_positive
from pc_crvae.models.mlp import in_full_precision, mlp, norm_of
from pc_crvae.models.registry import IMAGE_DECODERS, IMAGE_ENCODERS

_KERNEL, _STRIDE, _PADDING = 4, 2, 1


@IMAGE_ENCODERS.register("convolutional")
class ConvolutionalEncoder(nn.Module):
    """4x4 convolutions of stride 2 with batch-norm and ReLU, flattened at the end.

    Each layer halves the image, rounding down: 28 goes 14, 7, 3, 1. The CR-VAE release's widths
    are 128, 256, 512, 1,024.

    Args:
        shape: (C, H, W) of the images.
        widths: channels of the layers.
        batch_norm: normalise within every layer.

    Raises:
        ValueError: a size is not positive, or more layers than halvings.
    """

    def __init__(
        self, shape: ImageShape, widths: Sequence[int] = (32, 64, 64), batch_norm: bool = True
    ) -> None:
        check_positive("ConvolutionalEncoder", shape=shape, widths=widths)
        super().__init__()
        self.layers = nn.Sequential(
            *(
                _Layer(
                    nn.Conv2d(before, after, _KERNEL, _STRIDE, _PADDING, bias=not batch_norm),
                    batch_norm,
                )
                for before, after in pairwise((shape[0], *widths))
            )
        )
        self.shape = shape
        self.out_features = widths[-1] * prod(_sizes(shape, len(widths))[-1])

    def forward(self, images: Tensor) -> Tensor:
        """Encode ``images`` (B, C, H, W) in [0, 1] to (B, out_features).

        Raises:
            ValueError: ``images`` has another shape.
        """
        check_images(images, self.shape)
        rescaled = (2 * images - 1).contiguous(memory_format=torch.channels_last)
        features: Tensor = self.layers(rescaled)
        return features.permute(0, 2, 3, 1).flatten(1)


@IMAGE_DECODERS.register("convolutional")
class ConvolutionalDecoder(nn.Module):
    """A linear to the coarsest features, then 4x4 transposed convolutions of stride 2.

    Its sizes are those of a `ConvolutionalEncoder` with as many layers, in reverse.

    Args:
        latent_dim: L.
        shape: (C', H, W) of what is made, C' the likelihood's parameters of a pixel.
        widths: channels of the features, the coarsest first; each layer doubles the size.
        hidden: perceptrons between the latent and the coarsest features.
        batch_norm: normalise all features.

    Raises:
        ValueError: a size is not positive, or more layers than halvings of the image.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: ImageShape,
        widths: Sequence[int] = (64, 64, 32),
        hidden: Sequence[int] = (),
        batch_norm: bool = True,
    ) -> None:
        check_positive("ConvolutionalDecoder", latent_dim=latent_dim, shape=shape, widths=widths)
        super().__init__()
        sizes = _sizes(shape, len(widths))[::-1]
        self.coarsest = (*sizes[0], widths[0])  # (h, w, C), channels last
        self.perceptrons = mlp(latent_dim, (*hidden, prod(self.coarsest)), batch_norm=batch_norm)
        outputs = (*widths[1:], shape[0])
        convolutions = [
            nn.ConvTranspose2d(
                before,
                after,
                _KERNEL,
                _STRIDE,
                _PADDING,
                # Where halving rounded down, doubling leaves a row or a column out.
                output_padding=(fine[0] - 2 * coarse[0], fine[1] - 2 * coarse[1]),
                bias=is_last or not batch_norm,
            )
            for before, after, (coarse, fine), is_last in zip(
                widths, outputs, pairwise(sizes), [False] * (len(widths) - 1) + [True], strict=True
            )
        ]
        *inner, last = convolutions
        self.layers = nn.Sequential(*(_Layer(convolution, batch_norm) for convolution in inner))
        self.pixels = last
        self.latent_dim = latent_dim

    def forward(self, latent: Tensor) -> Tensor:
        """Decode ``latent`` (B, L) to the likelihood's parameters (B, C', H, W).

        Raises:
            ValueError: ``latent`` has another shape.
        """
        check_latent(latent, self.latent_dim)
        features = self.perceptrons(latent).reshape(-1, *self.coarsest).permute(0, 3, 1, 2)
        return in_full_precision(self.pixels, self.layers(features))


class _Layer(nn.Module):
    """A convolution, optional batch-norm, ReLU."""

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d, batch_norm: bool) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = norm_of(convolution.out_channels, batch_norm)

    def forward(self, features: Tensor) -> Tensor:
        features = self.convolution(features)
        return F.relu(self.norm(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


def _sizes(shape: ImageShape, layers: int) -> list[tuple[int, int]]:
    """Height and width before and after each of ``layers`` halvings."""
    _, height, width = shape
    sizes = [(height, width)]
    for _ in range(layers):
        height, width = height // 2, width // 2
        if min(height, width) < 1:
            raise ValueError(
                f"{layers} layers of stride 2 are too many for images of "
                f"{shape[1]} x {shape[2]} pixels"
            )
        sizes.append((height, width))
    return sizes
