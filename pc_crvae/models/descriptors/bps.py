"""Basis point sets: how far a cloud is from each of some fixed points."""

from torch import Tensor, nn

from pc_crvae.geometry import basis_points, distances_to_clouds
from pc_crvae.models.checks import check_clouds, check_positive


class BasisPointSet(nn.Module):
    """Distances from fixed basis points to a cloud (Prokudin et al. 2019, arXiv 1908.09186).

    The basis is drawn uniformly from the unit ball, which holds every prepared cloud. The features
    are smooth in the points and do not depend on how many there are, nor on their order.

    Args:
        basis: the number of basis points, which is ``out_features``.
        seed: the seed of the basis.
    """

    basis: Tensor

    def __init__(self, basis: int = 1024, seed: int = 0) -> None:
        check_positive("BasisPointSet", basis=basis)
        super().__init__()
        self.register_buffer("basis", basis_points(basis, seed))
        self.out_features = basis

    def forward(self, points: Tensor) -> Tensor:
        """Return the distance from each basis point to the nearest of ``points`` (B, N, 3): (B, F).

        Raises:
            ValueError: the shape is another.
        """
        check_clouds(points)
        return distances_to_clouds(self.basis, points)
