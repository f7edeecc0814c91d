"""A latent-variable model whose every figure is known: z ~ N(0, I), x = W z + b + sigma noise.

With orthogonal columns of W the true posterior is diagonal, so that a diagonal-Gaussian encoder can
be exact, or wrong by a known amount.
"""

import math

import torch
from torch import nn
from torch.distributions import MultivariateNormal

from helpers.toy_models import TwoGroups
from pc_crvae.latents.posteriors import DiagonalGaussian
from pc_crvae.likelihoods import GaussianLikelihood
from pc_crvae.objectives.base import LatentVariableModel


class LinearGaussian(LatentVariableModel):
    """The model with the encoder q(z|x) = N(A (x - b), diag(exp(c))), at first the true posterior.

    Args:
        strengths: lengths of the columns of W, one a latent dimension.
        pixels: dimensions of x, which is (B, 1, 1, pixels).
        sigma: of the noise.
        mean_error: added to A.
        log_variance_error: added to c.
    """

    def __init__(
        self, strengths, pixels=6, sigma=0.5, *, mean_error=0.0, log_variance_error=0.0, seed=0
    ):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        square = torch.randn(pixels, pixels, generator=generator, dtype=torch.float64)
        directions = torch.linalg.qr(square).Q[:, : len(strengths)]
        self.strengths = torch.tensor(strengths, dtype=torch.float64)
        self.weight = nn.Parameter(directions * self.strengths)  # W, (pixels, D)
        self.bias = nn.Parameter(torch.randn(pixels, generator=generator, dtype=torch.float64))
        self.sigma = sigma
        precision = 1 + self.strengths.square() / sigma**2
        gain = (directions * self.strengths / precision).T / sigma**2
        self.gain = nn.Parameter(gain + mean_error)  # A, (D, pixels)
        self.log_variance = nn.Parameter(-precision.log() + log_variance_error)  # c, (D,)

    @property
    def dimensions(self):
        return len(self.strengths)

    def posterior(self, x):
        mean = (x.flatten(1) - self.bias.detach()) @ self.gain.T
        return DiagonalGaussian(mean, self.log_variance.expand_as(mean))

    def likelihood(self, path):
        (latent,) = path
        pixels = latent @ self.weight.T + self.bias
        return GaussianLikelihood(pixels[:, None, None], 2 * math.log(self.sigma))

    def prior(self):
        return DiagonalGaussian.standard(self.dimensions, like=self.weight)

    def observe(self, count, seed=1):
        """Draw observations of the model's own: (count, 1, 1, pixels) float64."""
        generator = torch.Generator().manual_seed(seed)
        options = {"generator": generator, "dtype": torch.float64}
        latent = torch.randn(count, self.dimensions, **options)
        noise = torch.randn(count, len(self.bias), **options)
        x = latent @ self.weight.T + self.bias + self.sigma * noise
        return x.detach()[:, None, None]

    def evidence(self, x):
        """log p(x) in nats: (B,)."""
        covariance = self.weight @ self.weight.T + self.sigma**2 * torch.eye(
            len(self.bias), dtype=torch.float64
        )
        return MultivariateNormal(self.bias, covariance).log_prob(x.flatten(1)).detach()

    def mutual_information(self):
        """I(x; z) in nats under the model."""
        return 0.5 * float((1 + self.strengths.square() / self.sigma**2).log().sum())

    def variances_of_the_posterior_mean(self):
        """Var_x(E[z|x]) of each dimension: w^2 / (w^2 + sigma^2)."""
        squares = self.strengths.square()
        return squares / (squares + self.sigma**2)


class TwoGroupGaussian(LatentVariableModel):
    """Two latent groups, z ~ N(0, I) in all, x = D z + noise of variance 1, (B, 1, 1, 4).

    The posterior is a chain, z_2 given z_1, that is not the true one.
    """

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)

        def normal(*shape):
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        self.decoder = nn.Parameter(0.5 * normal(5, 4))
        self.mix, self.spread = nn.Parameter(0.3 * normal(2, 3)), nn.Parameter(0.3 * normal(2, 3))
        self.gain = nn.Parameter(torch.tensor(0.2, dtype=torch.float64))
        self.log_variance = nn.Parameter(torch.full((2,), -0.25, dtype=torch.float64))

    def posterior(self, x):
        flat = self.gain * x.flatten(1)
        first = DiagonalGaussian(flat[:, :2], self.log_variance[0].expand(len(x), 2))
        width = self.log_variance[1].expand(len(x), 3)
        return TwoGroups(first, flat[:, 1:], width, self.mix, self.spread)

    def prior(self):
        first = DiagonalGaussian.standard(2, like=self.mix)
        nothing = self.mix.new_zeros(1, 3)
        return TwoGroups(first, nothing, nothing, 0 * self.mix, 0 * self.spread)

    def likelihood(self, path):
        return GaussianLikelihood((torch.cat(path, 1) @ self.decoder)[:, None, None], 0.0)

    def observe(self, count, seed=1):
        """Draw images that are not the model's own, (count, 1, 1, 4) float64."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(count, 1, 1, 4, generator=generator, dtype=torch.float64)

    def evidence(self, x):
        """log p(x) in nats: (B,)."""
        decoder = self.decoder.detach()
        covariance = torch.eye(4, dtype=torch.float64) + decoder.T @ decoder
        return MultivariateNormal(torch.zeros_like(x[0, 0, 0]), covariance).log_prob(x.flatten(1))
