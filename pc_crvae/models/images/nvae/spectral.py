"""Spectral regularisation: the sum of the convolutions' largest singular values."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pc_crvae.randomness.draws import keyed_generator

_FIRST_ITERATIONS = 40


class SpectralPenalty(nn.Module):
    """Sum over layers of the largest singular value of the weight (arXiv 2007.03898, eq. 4).

    A convolution's weight counts as the matrix (out channels, the rest), after Yoshida & Miyato
    2017. The singular vectors are followed by power iteration from step to step; weights of one
    size are worked on together. Without the penalty a small change of x may move a deep
    posterior anywhere, and the KL with it.

    First derivatives are those of the singular values. Second ones are not, since no gradient
    passes through the singular vectors.

    Args:
        layers: the convolutions, which stay parts of their own model.
        iterations: power iterations each time the penalty is computed in training.
    """

    def __init__(self, layers: Iterable[nn.Conv2d], *, iterations: int = 4) -> None:
        super().__init__()
        self.iterations = iterations
        by_size: dict[tuple[int, int], list[nn.Conv2d]] = {}
        for layer in layers:
            by_size.setdefault(_matrix(layer).shape, []).append(layer)  # type: ignore[arg-type]
        # Held in a plain list: registered, every weight would be saved twice.
        self._families = list(by_size.values())
        for index, family in enumerate(self._families):
            matrices = _matrices(family).detach()
            generator = keyed_generator("spectral penalty", index)
            start = torch.randn(matrices.shape[:2], generator=generator, device="cpu").to(matrices)
            self.register_buffer(f"left_{index}", F.normalize(start, dim=1))
        with torch.no_grad():
            self._follow(_FIRST_ITERATIONS)

    def forward(self) -> Tensor:
        """The sum of the largest singular values, differentiable in the weights."""
        device = self._left(0).device.type if self._families else "cpu"
        with torch.autocast(device, enabled=False):
            return self._sum()

    def _sum(self) -> Tensor:
        if self.training:
            with torch.no_grad():
                self._follow(self.iterations)
        total = torch.zeros(())
        for index, family in enumerate(self._families):
            matrices = _matrices(family)
            left = F.normalize(self._left(index), dim=1)  # an average of weights is not of length 1
            right = F.normalize(torch.einsum("nij,ni->nj", matrices.detach(), left), dim=1)
            total = total.to(matrices) + torch.einsum("ni,nij,nj->", left, matrices, right)
        return total

    def _follow(self, iterations: int) -> None:
        for index, family in enumerate(self._families):
            matrices, left = _matrices(family), self._left(index)
            for _ in range(iterations):
                right = F.normalize(torch.einsum("nij,ni->nj", matrices, left), dim=1)
                following = F.normalize(torch.einsum("nij,nj->ni", matrices, right), dim=1)
                # A weight of zeros, as a flow's last layer is at first, leads nowhere: a vector
                # of zeros would never leave them, whatever became of the weight.
                left = torch.where(following.any(dim=1, keepdim=True), following, left)
            self._left(index).copy_(left)

    def _left(self, index: int) -> Tensor:
        left: Tensor = getattr(self, f"left_{index}")
        return left


def _matrix(layer: nn.Conv2d) -> Tensor:
    weight: Tensor = getattr(layer, "masked_weight", layer.weight)
    return weight.flatten(1)


def _matrices(family: list[nn.Conv2d]) -> Tensor:
    return torch.stack([_matrix(layer) for layer in family])
