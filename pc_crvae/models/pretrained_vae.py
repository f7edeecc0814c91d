"""A VAE as a user holds it, whatever the modality: decoding, sampling, interpolating."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from pc_crvae.config import ImageModelConfig, ModelPart, PointModelConfig
from pc_crvae.errors import UserError
from pc_crvae.latents.interpolation import InterpolationKind, interpolate_latents
from pc_crvae.likelihoods import Likelihood
from pc_crvae.models.pretrained import Pretrained
from pc_crvae.models.registry import Encoder
from pc_crvae.models.vae import VAE, PosteriorHead
from pc_crvae.randomness.draws import keyed_generator


class PretrainedVAE(VAE, Pretrained, ABC):
    """A `VAE` that is used as it is held: observations in, latents and observations out.

    Args:
        architecture: head and latent size, and what the other parts are made of.
        posterior: ``gaussian``, or ``code`` for a plain auto-encoder.
        data: what it was trained on, carried along in exports.
        encoder: the encoder that the architecture describes.
        make_decoder: a function from the latent size to the decoder, called after the head is made.
        make_likelihood: the decoder's output to p(x|z).
    """

    def __init__(
        self,
        architecture: PointModelConfig | ImageModelConfig,
        posterior: Literal["gaussian", "code"],
        data: dict[str, Any] | None,
        *,
        encoder: Encoder,
        make_decoder: Callable[[int], nn.Module],
        make_likelihood: Callable[[Tensor], Likelihood],
    ) -> None:
        latent_dim = architecture.latent_dim
        head = PosteriorHead(
            encoder.out_features, latent_dim, posterior=posterior, **architecture.head.arguments()
        )
        super().__init__(
            cast(nn.Module, encoder), head, make_decoder(latent_dim), make_likelihood, latent_dim
        )
        self.architecture = architecture
        self.posterior_kind: Literal["gaussian", "code"] = posterior
        self.data = data or {}

    def parts(self) -> dict[str, Any]:
        """The names of encoder and decoder, and the latent size."""
        return {
            "encoder": self.architecture.encoder.name,
            "decoder": self.architecture.decoder.name,
            "latent_dim": self.latent_dim,
        }

    def description(self) -> dict[str, Any]:
        """The model's part of ``config.json``: the fields of `Description`, and the input."""
        return self._described(posterior=self.posterior_kind)

    def learnt_part(self, name: ModelPart) -> nn.Module:
        """The module with the weights of a part, without what is around it and has none."""
        return self.get_submodule(name)

    @property
    def has_prior(self) -> bool:
        """Whether it is a VAE rather than a plain auto-encoder."""
        return self.head.log_variance is not None

    @property
    def decodes(self) -> bool:
        """Whether the decoder was trained: not where ``objective.weight`` was 0."""
        return self.data.get("decodes") is not False

    @abstractmethod
    def latents(self, x: Any) -> Tensor:
        """The posterior mean of one observation or a batch, as the user has them."""

    def decode(self, latents: Tensor) -> Tensor:
        """Observations of ``latents`` (B, D), prepared as in training, float32 on the CPU.

        Raises:
            UserError: the decoder was not trained, as ``objective.weight`` was 0.
        """
        if not self.decodes:
            raise UserError(
                "this model was trained without decoding (objective.weight 0), so its decoder "
                "means nothing: embed with it, or train one with a weight"
            )
        return self.in_parts(latents, lambda part: self.likelihood((part,)).mean)

    def reconstructions(self, x: Tensor, seed: int = 0) -> Tensor:
        """Decode the posterior mean of each item; nothing is drawn."""
        return self.decode(self.encode(x))

    def sample(self, count: int, seed: int = 0) -> Tensor:
        """Decode ``count`` draws of the prior: (count, ...) float32 on the CPU.

        Raises:
            ValueError: for a plain auto-encoder, which has no prior.
        """
        if not self.has_prior:
            raise ValueError("a plain auto-encoder has no prior to sample from")
        generator = keyed_generator("sample", seed)
        return self.decode(torch.randn(count, self.latent_dim, generator=generator))

    def interpolate(
        self, start: Any, end: Any, steps: int = 9, kind: InterpolationKind = "spherical"
    ) -> Tensor:
        """Observations along the path between the posterior means of two of them.

        Args:
            start: one observation, as `latents` takes it.
            end: another.
            steps: the number of images that are returned, both ends included.
            kind: ``spherical`` or ``linear``, see `pc_crvae.latents.interpolation`.

        Returns:
            (steps, ...) float32 on the CPU, as `decode` gives them.
        """
        return self.decode(interpolate_latents(self.latents(start), self.latents(end), steps, kind))
