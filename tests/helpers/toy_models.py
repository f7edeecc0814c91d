"""Models small enough to follow by hand: of clouds, of images, and with two latent groups."""

import json
import math

import torch
from torch import nn

from pc_crvae.config import PointModelConfig
from pc_crvae.latents.hierarchical import HierarchicalPosterior
from pc_crvae.latents.posteriors import DiagonalGaussian, LatentChain
from pc_crvae.likelihoods import Likelihood
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.models.vae import VAE, PosteriorHead

LATENT_DIM = 4

ARCHITECTURE = {
    "encoder": {"name": "pointnet", "widths": [8, 16], "batch_norm": False},
    "latent_dim": LATENT_DIM,
    "decoder": {"name": "folding", "points": 12, "widths": [8, 8]},
    "likelihood": {"scale": 50.0},
}


def rows_of(chain, rows):
    """The distribution of some of the items of a Gaussian or of a hierarchical posterior."""
    if isinstance(chain, DiagonalGaussian):
        return DiagonalGaussian(chain.mean[rows], chain.log_variance[rows])
    features = [each[rows] for each in chain.encoder_features]
    return HierarchicalPosterior(
        chain.network, features, representation_groups=chain.representation_groups
    )


def architecture(**sections):
    """The toy architecture, whole sections of it replaced."""
    return PointModelConfig.model_validate_json(json.dumps(ARCHITECTURE | sections))


def point_vae(seed=0, posterior="gaussian", **sections):
    """A PointVAE with random weights fixed by ``seed``."""
    torch.manual_seed(seed)
    return PointVAE(architecture(**sections), posterior=posterior, points=16)


def with_encoder(**encoder):
    """A PointVAE in evaluation mode whose encoder is described so."""
    torch.manual_seed(0)
    values = {
        "encoder": encoder,
        "latent_dim": 4,
        "decoder": {"name": "fully_connected", "points": 16, "widths": [8]},
    }
    return PointVAE(PointModelConfig.model_validate(values, strict=False), points=32).eval()


def clouds(count=3, points=16, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, points, 3, generator=generator, dtype=dtype)


class GaussianLikelihood(Likelihood):
    """Independent pixels of unit variance."""

    def __init__(self, pixels):
        self._mean = pixels

    @property
    def mean(self):
        return self._mean

    def log_prob(self, x):
        squares = (x - self._mean).flatten(1).square()
        return -0.5 * (squares + math.log(2 * math.pi)).sum(dim=1)


def image_vae(seed=0, batch_norm=False):
    """A VAE of images (B, 1, 4, 4)."""
    torch.manual_seed(seed)
    norm = nn.BatchNorm1d(8) if batch_norm else nn.Identity()
    return VAE(
        nn.Sequential(nn.Flatten(), nn.Linear(16, 8), norm, nn.Tanh()),
        PosteriorHead(8, LATENT_DIM),
        nn.Sequential(
            nn.Linear(LATENT_DIM, 8), nn.Tanh(), nn.Linear(8, 16), nn.Unflatten(1, (1, 4, 4))
        ),
        GaussianLikelihood,
        LATENT_DIM,
    )


class TwoGroups(LatentChain):
    """z_1 ~ N(m, v); z_2 | z_1 ~ N(a + W z_1, c + U z_1), the second parameter a log-variance.

    Args:
        first: the Gaussian of z_1, (B, D_1).
        shift: a, (B, D_2).
        log_variance: c, (B, D_2).
        mix: W, (D_1, D_2).
        spread: U, (D_1, D_2).
    """

    def __init__(self, first, shift, log_variance, mix, spread):
        self.first, self.shift, self.log_variance = first, shift, log_variance
        self.mix, self.spread = mix, spread

    @property
    def mean(self):
        return torch.cat([self.first.mean, self.shift + self.first.mean @ self.mix], dim=1)

    @property
    def group_sizes(self):
        return self.first.mean.shape[1], self.shift.shape[1]

    def second(self, z_1):
        return DiagonalGaussian(
            self.shift + z_1 @ self.mix, self.log_variance + torch.tanh(z_1 @ self.spread)
        )

    def sample(self, draws):
        (z_1,) = self.first.sample(draws)
        (z_2,) = self.second(z_1).sample(draws)
        return z_1, z_2

    def conditionals(self, path):
        return self.first, self.second(path[0])

    def rows(self, rows):
        return TwoGroups(
            rows_of(self.first, rows),
            self.shift[rows],
            self.log_variance[rows],
            self.mix,
            self.spread,
        )

    def detach(self):
        return TwoGroups(
            self.first.detach(),
            self.shift.detach(),
            self.log_variance.detach(),
            self.mix.detach(),
            self.spread.detach(),
        )
