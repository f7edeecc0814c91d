"""Which operations the kernels of every device have."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor


class EdgeTerms(NamedTuple):
    """What `pc_crvae.geometry.edge_moments` sums over the edges, of R points.

    Attributes:
        u: the neighbours' terms (R, C).
        v: the centres' terms (R, C).
        s: the sum (R, C) of u over each centre's neighbours.
        degrees: the number of times that each point is a neighbour, (R,) int64.
        u_mean: the mean of u over the edges, (C,).
        v_mean: the mean of v over the edges, (C,).
        k: neighbours of each centre.
    """

    u: Tensor
    v: Tensor
    s: Tensor
    degrees: Tensor
    u_mean: Tensor
    v_mean: Tensor
    k: int


class Kernels(Protocol):
    """The operations of one device's kernels; a module is such a set.

    All but `fold` take detached tensors, float32 or float64, whose shapes the callers checked, and
    know nothing of gradients.
    """

    def nearest(self, query: Tensor, reference: Tensor) -> Tensor:
        """Nearest of (B, M, D) ``reference`` to each of (B, N, D) ``query``: (B, N) int64.

        Of equals it is the lowest index.
        """

    def mutual_nearest(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """`nearest` of (B, N, D) ``x`` in (B, M, D) ``y``, (B, N), and of y in x, (B, M)."""

    def k_nearest(self, points: Tensor, k: int) -> Tensor:
        """Nearest of (B, N, D) to each other, itself first: (B, N, k) int64, 1 <= k <= N."""

    def octant_means(self, points: Tensor, counts: Sequence[int], signs: Tensor) -> Tensor:
        """Mean offsets of neighbours by octant of (B, N, 3): (B, V, N, 24 S), S scales.

        Scale s takes the ``counts[s]`` nearest other points; the counts rise, and the last is
        below N. View v is the cloud mirrored by ``signs[v]`` (V, 3), of the dtype of the points.
        See `pc_crvae.geometry.octant_means`.
        """
        ...

    def farthest_points(self, points: Tensor, count: int, start: Tensor) -> Tensor:
        """Choices (B, count) int64 among (B, N, 3), each the farthest from those before it.

        The first choices are ``start`` (B,) int64.
        """

    def pool_neighbors(
        self, features: Tensor, indices: Tensor, signs: Tensor, *, with_sum: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Extremes of ``features`` (B, M, C) over the neighbours ``indices`` (B, N, k) int64.

        ``signs`` (C,) is 1 where the largest counts and -1 where the smallest. Gives the extreme
        (B, N, C), NaN where a neighbour is; the index (B, N, C) int32 in [0, M) of a neighbour
        that has it; and the sum (B, N, C) over the neighbours, (0, 0, 0) without ``with_sum``.
        """

    def unpool_neighbors(
        self,
        extreme_gradient: Tensor,
        argument: Tensor,
        sum_gradient: Tensor | None,
        indices: Tensor,
        n_points: int,
    ) -> Tensor:
        """The gradient (B, M, C) of `pool_neighbors` in its features, M being ``n_points``."""

    def edge_squares(self, edges: EdgeTerms) -> Tensor:
        """Sum over all edges of (u_j + v_i - mean)^2, (C,)."""

    def edge_squares_backward(
        self, edges: EdgeTerms, slope: Tensor, level: Tensor
    ) -> Sequence[Tensor]:
        """Gradients (R, C) in u, v and s.

        ``slope`` (C,) is twice the gradient in the squares; ``level`` (C,) is the gradient in the
        mean over the edges, divided by R.
        """

    def column_extremes(
        self, values: Tensor, centers: Tensor, signs: Tensor, squares: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Extremes (C,) of the columns of ``values`` (N, C) and their rows (C,) int64.

        Adds the squared deviations from ``centers`` (C,) to ``squares`` (C,), if given.
        """

    def picked_products(self, features: Tensor, weight: Tensor, argument: Tensor) -> Tensor:
        """Products (B, C) of the rows of ``weight`` (C, D) with the points they picked.

        ``features`` is (B, N, D), ``argument`` (B, C) int64 in [0, N).
        """

    def picked_products_backward(
        self,
        gradient: Tensor,
        features: Tensor,
        weight: Tensor,
        argument: Tensor,
        features_gradient: Tensor,
    ) -> Tensor:
        """The weight's gradient (C, D); adds that of the features to ``features_gradient``."""

    def fold(
        self,
        latent_terms: Tensor,
        points: Tensor,
        point_weight: Tensor,
        layers: Sequence[tuple[Tensor, Tensor]],
    ) -> Tensor:
        """A perceptron on ``points`` (B or 1, M, D) under each cloud's latent, differentiably.

        The first hidden layer is ReLU(latent_terms + point_weight p), of ``latent_terms`` (B, C)
        and ``point_weight`` (C, D). The linear ones after it, with ReLU between them, are
        ``layers``: weight (C', C) and bias (C',) of each. The last gives coordinates (B, M, 3), in
        the precision of its weight whatever the autocast.
        """
