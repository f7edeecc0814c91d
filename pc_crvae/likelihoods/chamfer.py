"""The pseudo-likelihood of point sets."""

from typing import Literal

from torch import Tensor

from pc_crvae.geometry import chamfer_distance
from pc_crvae.likelihoods.base import Likelihood


class ChamferLikelihood(Likelihood):
    """A pseudo-likelihood for point sets: log p(x|z) = -scale * Chamfer(x, points).

    It is not normalised, so ``scale`` is what gives a nat its meaning. Gaussian noise of standard
    deviation sigma about the decoded points costs a cloud of N points sum_i d_i^2 / (2 sigma^2)
    nats, d_i the distance to the nearest one: with squared distances that is one direction at
    scale = N / (2 sigma^2), and two directions of equally dense clouds at scale =
    N / (4 sigma^2). So 1,024 points and 1 million nats a unit, both directions summed, stand
    for sigma = 0.016, or 1.6 % of the shape's radius. beta and lambda multiply KLs in the same
    nats, whatever the scale.

    Args:
        points: the decoded cloud, (B, M, 3).
        scale: nats per unit of Chamfer distance.
        squared: whether nearest distances are squared.
        directions: sum, mean or max of the two directions, each a mean over its points.
    """

    def __init__(
        self,
        points: Tensor,
        scale: float,
        *,
        squared: bool = True,
        directions: Literal["sum", "mean", "max"] = "sum",
    ) -> None:
        self._points = points
        self.scale = scale
        self.squared = squared
        self.directions: Literal["sum", "mean", "max"] = directions

    @property
    def mean(self) -> Tensor:
        """The decoded cloud, (B, M, 3)."""
        return self._points

    def log_prob(self, x: Tensor) -> Tensor:
        """Pseudo-log-likelihood in nats of each cloud of ``x`` (B, N, 3): (B,)."""
        distance = chamfer_distance(
            x, self._points, squared=self.squared, directions=self.directions
        )
        return -self.scale * distance
