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
        return self.in_parts(x, lambda part: self._decode(self.posterior(part).mean_path()))

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
        images = (pretrained.prepared_images(image, self.shape) for image in (start, end))
        with evaluating(self):
            first, last = (self.posterior(image.to(self.device)).mean_path() for image in images)
        ends = [group[0] for group in first], [group[0] for group in last]
        between = interpolate_groups(*ends, steps, kind)
        sizes = [group.shape[1] for group in between]
        codes = torch.cat(between, dim=1)
        return self.in_parts(codes, lambda part: self._decode(torch.split(part, sizes, dim=1)))

    def sample(self, count: int, seed: int = 0) -> Tensor:
        """The likelihood's means at ``count`` draws of the prior: (count, C, H, W) on the CPU."""
        draws = Draws(keyed_generator("sample", seed, device=self.device), count)
        with evaluating(self):
            return self._decode(self.prior().sample(draws)).cpu()

    def _decode(self, path: LatentPath) -> Tensor:
        return self.likelihood(path).mean
