"""The variational auto-encoder that joins an encoder and a decoder of any modality."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Literal, Self

import torch
from torch import Tensor, nn

from pc_crvae.latents.posteriors import DiagonalGaussian, LatentChain, LatentPath, PointMass
from pc_crvae.likelihoods import Likelihood
from pc_crvae.models.batch_norm import BatchNorm
from pc_crvae.models.mlp import mlp
from pc_crvae.objectives.base import LatentVariableModel

LOG_VARIANCE_BOUND = 12.0
"""Log-variances are squashed smoothly into this range either side of zero, standard
deviations hence into 0.0025 to 400: wide enough for any use, and no exp overflows."""


class PosteriorHead(nn.Module):
    """From pooled features to q(z|x).

    Args:
        in_features: width of the pooled features.
        latent_dim: dimensions of z.
        posterior: ``gaussian`` for a VAE, ``code`` for a plain auto-encoder.
        normalize_features: apply batch-norm to the pooled features first.
        widths: hidden layers (linear, optional batch-norm, ReLU) before the last linear one.
        batch_norm: batch-norm in the hidden layers.
        initial_log_variance: bias of the log-variances at the start, before they are squashed
            (see `LOG_VARIANCE_BOUND`). From 0, a standard deviation of 1, the decoder first
            learns to ignore z, and unlearning that takes longest.
    """

    def __init__(
        self,
        in_features: int,
        latent_dim: int,
        *,
        posterior: Literal["gaussian", "code"] = "gaussian",
        normalize_features: bool = False,
        widths: Sequence[int] = (),
        batch_norm: bool = False,
        initial_log_variance: float = -4.0,
    ) -> None:
        super().__init__()
        self.norm = BatchNorm(in_features) if normalize_features else nn.Identity()
        self.hidden = mlp(in_features, widths, batch_norm=batch_norm)
        in_features = widths[-1] if widths else in_features
        self.mean = nn.Linear(in_features, latent_dim)
        self.log_variance = nn.Linear(in_features, latent_dim) if posterior == "gaussian" else None
        if self.log_variance is not None:
            nn.init.constant_(self.log_variance.bias, initial_log_variance)

    def forward(self, features: Tensor) -> LatentChain:
        """q(z|x) of pooled ``features`` (B, in_features), in the parameters' own precision."""
        # Under autocast, half-precision means would put rounding noise into every KL.
        with torch.autocast(features.device.type, enabled=False):
            hidden = self.hidden(self.norm(features.to(self.mean.weight.dtype)))
            mean = self.mean(hidden)
            if self.log_variance is None:
                return PointMass(mean)
            raw = self.log_variance(hidden) / LOG_VARIANCE_BOUND
            return DiagonalGaussian(mean, LOG_VARIANCE_BOUND * torch.tanh(raw))


class VAE(LatentVariableModel):
    """A latent-variable model with one latent group and the prior N(0, I).

    Args:
        encoder: x to pooled features (B, F).
        head: pooled features to q(z|x).
        decoder: z (B, D) to the likelihood's parameters.
        make_likelihood: the decoder's output to p(x|z).
        latent_dim: D.
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: PosteriorHead,
        decoder: nn.Module,
        make_likelihood: Callable[[Tensor], Likelihood],
        latent_dim: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.decoder = decoder
        self.make_likelihood = make_likelihood
        self.latent_dim = latent_dim
        self.frozen: tuple[str, ...] = ()

    def freeze(self, parts: Sequence[str]) -> None:
        """Keep parts as they are whatever is trained, of ``encoder``, ``head`` and ``decoder``.

        They get no gradient, and their batch-norm stays as in evaluation.
        """
        self.frozen = tuple(parts)
        for parameter in self.frozen_parameters():
            parameter.requires_grad_(False)
        self.train(self.training)

    def frozen_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters of the parts that are frozen."""
        for part in self.frozen:
            yield from self.get_submodule(part).parameters()

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all parts but those that are frozen."""
        super().train(mode)
        for part in self.frozen:
            self.get_submodule(part).eval()
        return self

    def features(self, x: Tensor) -> Tensor:
        """The encoder's pooled features: (B, F)."""
        features: Tensor = self.encoder(x)
        return features

    def posterior(self, x: Tensor) -> LatentChain:
        """q(z|x)."""
        posterior: LatentChain = self.head(self.features(x))
        return posterior

    def likelihood(self, path: LatentPath) -> Likelihood:
        """p(x|z) at the one group of ``path``, (B, D)."""
        (latent,) = path
        return self.make_likelihood(self.decoder(latent))

    def prior(self) -> DiagonalGaussian:
        """N(0, I)."""
        return DiagonalGaussian.standard(self.latent_dim, like=self.head.mean.weight)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put ``module`` in evaluation mode, without gradients, and every part back as it was."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, was_training in modes.items():
            part.training = was_training


def device_of(module: nn.Module) -> torch.device:
    """Where the parameters of ``module`` live, or its buffers where it has no parameters."""
    return next(chain(module.parameters(), module.buffers())).device


def encode_parts(
    module: nn.Module, parts: Iterable[Tensor], encode: Callable[[Tensor], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """Encode a set, part after part, in evaluation mode: what every encoding of a set goes through.

    Args:
        module: what encodes; each part is moved to its device.
        parts: the batches, at least one, items first.
        encode: a part on the device to tensors by name, items first.

    Returns:
        The tensors of all parts joined, by name, on the CPU.
    """
    device = device_of(module)
    found: dict[str, list[Tensor]] = {}
    with evaluating(module):
        for part in parts:
            for name, values in encode(part.to(device)).items():
                found.setdefault(name, []).append(values.cpu())
    return {name: torch.cat(values) for name, values in found.items()}
