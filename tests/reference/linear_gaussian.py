"""A latent-variable model whose every figure is known: z ~ N(0, I), x = W z + b + sigma noise.

With orthogonal columns of W the true posterior is diagonal, so that a diagonal-Gaussian encoder can
be exact, or wrong by a known amount.
"""

import math

import torch
from torch import nn
from torch.distributions import MultivariateNormal

from pc_crvae.likelihoods import GaussianLikelihood
from pc_crvae.objectives import LatentVariableModel
from pc_crvae.posteriors import DiagonalGaussian


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
