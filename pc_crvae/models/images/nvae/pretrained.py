"""NVAE as a user holds it: saved, loaded, sampled from."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pc_crvae.config import NVAEModelConfig
from pc_crvae.latents.interpolation import InterpolationKind, interpolate_groups
from pc_crvae.latents.posteriors import LatentPath
from pc_crvae.models.checks import ImageShape
from pc_crvae.models.images import pretrained
from pc_crvae.models.images.build import build_likelihood
from pc_crvae.models.images.nvae.model import NVAE
from pc_crvae.models.vae import evaluating
from pc_crvae.randomness.draws import Draws, keyed_generator

_CHUNK = 64  # images encoded or decoded at once


class _Description(pretrained.ImageDescription):
    architecture: NVAEModelConfig


class PretrainedNVAE(NVAE, pretrained.PretrainedOfImages):
    """An NVAE that is saved to a folder and loaded from it.

    Args:
        architecture: its groups, and the likelihood.
        shape: (C, H, W) of the images.
        data: what it was trained on, carried along in exports.
    """

    Description = _Description
    architecture: NVAEModelConfig

    def __init__(
        self,
        architecture: NVAEModelConfig,
        *,
        shape: ImageShape = (1, 28, 28),
        data: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(architecture, shape, *build_likelihood(architecture.likelihood, shape[0]))
        self.architecture = architecture
        self.shape = shape
        self.data = data or {}

    def parts(self) -> dict[str, Any]:
        """The size of the images, and the latent groups."""
        return {"shape": self.shape, "groups": sum(self.architecture.groups_per_scale)}

    def _decoded_means(self, x: Tensor) -> Tensor:
        with evaluating(self):
            return torch.cat(
                [self._decode(self._mean_path(part)) for part in torch.split(x, _CHUNK)]
            )

    def interpolate(
        self,
        start: pretrained.Image,
        end: pretrained.Image,
        steps: int = 9,
        kind: InterpolationKind = "spherical",
    ) -> Tensor:
        """Images along the path between two images' means, in every group by itself.

        Args:
            start: one image, as `embed` takes it.
            end: another.
            steps: the number of images that are returned, both ends included.
            kind: ``spherical`` or ``linear``, see `pc_crvae.latents.interpolation`.

        Returns:
            (steps, C, H, W) float32 on the CPU; the first and the last are the two images'
            reconstructions.

        Raises:
            ValueError: a batch in place of one image, and as `embed` and `interpolate_groups`.
        """
        for image in (start, end):
            if np.ndim(image) > 3:
                raise ValueError(f"start and end are one image each, not {tuple(image.shape)}")
        with evaluating(self):
            first, last = (
                [
                    group[0]
                    for group in self._mean_path(pretrained.prepared_images(image, self.shape))
                ]
                for image in (start, end)
            )
            between = interpolate_groups(first, last, steps, kind)
            rows = range(0, steps, _CHUNK)
            return torch.cat(
                [
                    self._decode(tuple(group[row : row + _CHUNK] for group in between))
                    for row in rows
                ]
            )

    def sample(self, count: int, seed: int = 0) -> Tensor:
        """The likelihood's means at ``count`` draws of the prior: (count, C, H, W) on the CPU."""
        draws = Draws(keyed_generator("sample", seed, device=self.device), count)
        with evaluating(self):
            return self.likelihood(self.prior().sample(draws)).mean.cpu()

    def _mean_path(self, images: Tensor) -> LatentPath:
        return self.posterior(images.to(self.device)).mean_path()

    def _decode(self, path: LatentPath) -> Tensor:
        return self.likelihood(path).mean.cpu()
