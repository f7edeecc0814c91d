"""NVAE as a latent-variable model."""

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pc_crvae.config.nvae import NVAEConfig
from pc_crvae.latents.hierarchical import HierarchicalPosterior, HierarchicalPrior, decoder_state
from pc_crvae.latents.posteriors import LatentPath
from pc_crvae.likelihoods import Likelihood
from pc_crvae.models.checks import check_images
from pc_crvae.models.images.nvae.cells import ImageBatchNorm
from pc_crvae.models.images.nvae.networks import BottomUp, GroupsTopDown, Tail
from pc_crvae.models.images.nvae.spectral import SpectralPenalty
from pc_crvae.objectives.base import LatentVariableModel


class NVAE(LatentVariableModel):
    """A hierarchical VAE of images (Vahdat & Kautz 2020, arXiv 2007.03898).

    An image whose sides do not halve often enough, as MNIST's 28 pixels, is padded with zeros
    for the encoder (to 32), and the decoder's output is cropped: the likelihood is that of the
    image itself, never of its frame.

    Args:
        config: the architecture.
        image_shape: (C, H, W).
        parameter_channels: channels that ``make_likelihood`` takes.
        make_likelihood: the decoder's output (B, parameter_channels, H, W) to p(x|z).
    """

    def __init__(
        self,
        config: NVAEConfig,
        image_shape: tuple[int, int, int],
        parameter_channels: int,
        make_likelihood: Callable[[Tensor], Likelihood],
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        groups = sum(config.groups_per_scale)
        if (config.representation_groups or 0) > groups:
            raise ValueError(
                f"representation_groups {config.representation_groups} is more than the "
                f"{groups} groups there are"
            )
        self.config = config
        self.image_shape = image_shape
        self.make_likelihood = make_likelihood
        multiple = config.image_multiple
        padded = (-height % multiple + height, -width % multiple + width)
        top, left = (padded[0] - height) // 2, (padded[1] - width) // 2
        self._frame = (left, padded[1] - width - left, top, padded[0] - height - top)
        self.encoder = BottomUp(config, channels)
        self.top_down = GroupsTopDown(config, (padded[0] // multiple, padded[1] // multiple))
        self.decoder = Tail(config, parameter_channels)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.spectral = SpectralPenalty(
            module for module in self.modules() if isinstance(module, nn.Conv2d)
        )

    def posterior(self, x: Tensor) -> HierarchicalPosterior:
        """q(z|x) of images (B, C, H, W) in [0, 1].

        Raises:
            ValueError: on images of another size or number of channels.
        """
        check_images(x, self.image_shape)
        framed = F.pad(2 * x - 1, self._frame, value=-1.0)
        features = self.encoder(framed.contiguous(memory_format=torch.channels_last))
        return HierarchicalPosterior(
            self.top_down, features, representation_groups=self.config.representation_groups
        )

    def likelihood(self, path: LatentPath) -> Likelihood:
        """p(x|z) of the images alone, without their frame."""
        parameters = self.decoder(decoder_state(self.top_down, path))
        _, height, width = self.image_shape
        left, _, top, _ = self._frame
        return self.make_likelihood(parameters[:, :, top : top + height, left : left + width])

    def prior(self) -> HierarchicalPrior:
        """p(z)."""
        return HierarchicalPrior(self.top_down)

    def regularization(self) -> Tensor:
        """What the loss of a step takes besides: spectral and batch-norm penalties, weighted.

        A scalar, to be added to the loss to be minimised once a step; `Regularized` does so. In
        training each call moves the singular vectors on by some power iterations.
        """
        spectral: Tensor = self.config.spectral_weight * self.spectral()
        scales = [
            cast(Tensor, module.weight).abs().max()
            for module in self.modules()
            if isinstance(module, ImageBatchNorm)
        ]
        return spectral + self.config.batch_norm_weight * torch.stack(scales).sum()
