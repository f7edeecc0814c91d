"""Triton kernels for CUDA: neighbour searches, pooling over neighbours, farthest points.

Importing this package imports Triton, so it is imported only where a CUDA tensor asks for it.
The operations are those of `pc_crvae.geometry.kernels.operations.Kernels`, on one device. They have
been compiled and interpreted, and not yet run on a card. Indices within a cloud are int32 (a cloud
has fewer than 2^31 points), offsets into memory int64.
"""

from collections.abc import Sequence

from torch import Tensor

from pc_crvae.geometry.kernels import reference as plain
from pc_crvae.geometry.kernels.cuda.pooling import pool_neighbors as pool_neighbors
from pc_crvae.geometry.kernels.cuda.pooling import unpool_neighbors as unpool_neighbors
from pc_crvae.geometry.kernels.cuda.sampling import farthest_points as farthest_points
from pc_crvae.geometry.kernels.cuda.search import k_nearest as k_nearest
from pc_crvae.geometry.kernels.cuda.search import mutual_nearest as mutual_nearest
from pc_crvae.geometry.kernels.cuda.search import nearest as nearest
from pc_crvae.geometry.kernels.cuda.search import supports_k_nearest as supports_k_nearest

# At these plain PyTorch is as fast.
edge_squares = plain.edge_squares
edge_squares_backward = plain.edge_squares_backward
column_extremes = plain.column_extremes
picked_products = plain.picked_products
picked_products_backward = plain.picked_products_backward
fold = plain.fold


def octant_means(points: Tensor, counts: Sequence[int], signs: Tensor) -> Tensor:
    """See `Kernels.octant_means`: what is fast here is the search for neighbours."""
    return plain.octant_means_of(points, k_nearest(points, counts[-1] + 1), counts, signs)
