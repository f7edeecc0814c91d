"""A decoder without geometry, the control for the folding one."""

from collections.abc import Sequence

from torch import Tensor, nn

from pc_crvae.models.checks import check_latent, check_positive
from pc_crvae.models.mlp import in_full_precision, mlp
from pc_crvae.models.registry import POINT_DECODERS


@POINT_DECODERS.register("fully_connected")
class FullyConnectedDecoder(nn.Module):
    """Perceptrons with ReLU and a linear that gives all coordinates at once.

    The decoder of the point auto-encoder of Achlioptas et al. 2018 (arXiv 1707.02392).

    Args:
        latent_dim: L.
        points: M, the size of the clouds made.
        widths: hidden widths.

    Raises:
        ValueError: a size is not positive.
    """

    def __init__(
        self, latent_dim: int, points: int = 1024, widths: Sequence[int] = (512, 1024)
    ) -> None:
        check_positive("FullyConnectedDecoder", latent_dim=latent_dim, points=points, widths=widths)
        super().__init__()
        self.perceptrons = mlp(latent_dim, widths, batch_norm=False)
        self.coordinates = nn.Linear(widths[-1], 3 * points)
        self.latent_dim = latent_dim
        self.out_points = points

    def forward(self, latent: Tensor) -> Tensor:
        """Decode ``latent`` (B, L) to clouds (B, M, 3).

        Raises:
            ValueError: ``latent`` has another shape.
        """
        check_latent(latent, self.latent_dim)
        coordinates = in_full_precision(self.coordinates, self.perceptrons(latent))
        return coordinates.reshape(-1, self.out_points, 3)
