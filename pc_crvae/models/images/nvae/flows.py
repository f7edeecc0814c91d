"""Inverse autoregressive flows (Kingma et al. 2016) behind a group's Gaussian.

A cell moves every latent by what the latents before it say: z_i = e_i - shift_i(e_<i), the order
being that of rows, columns and channels, or its reverse. As published for NVAE it only shifts:
volume is kept, and log |det| of the Jacobian is 0. One pass draws; the density of a latent drawn
elsewhere takes the inverse, which is found by iterating e = z + shift(e). The triangular order
makes the iteration exact after as many rounds as there are latents; it stops earlier, once
nothing moves.
"""

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from pc_crvae.latents.posteriors import Conditional, DiagonalGaussian, LatentPath
from pc_crvae.models.images.nvae.gaussian import soft_clamp
from pc_crvae.models.mlp import in_full_precision
from pc_crvae.randomness.draws import Draws
from pc_crvae.utils.differentiation import refuse_second_derivative

HIDDEN_PER_CHANNEL = 6
_KERNEL = 5


class MaskedConvolution(nn.Conv2d):
    """A convolution that sees only what comes before each output in the autoregressive order.

    Args:
        in_ranks: the rank, in the order, of the latent channel that each input channel belongs to.
        out_ranks: that of each output channel.
        size: the size of the kernel.
        strict: leave out the output's own latent, which a first layer must.
        mirrored: reverse the order of rows and columns.
        depthwise: each channel sees itself alone.
        bias: add one.
    """

    mask: Tensor

    def __init__(
        self,
        in_ranks: Tensor,
        out_ranks: Tensor,
        size: int,
        *,
        strict: bool,
        mirrored: bool,
        depthwise: bool = False,
        bias: bool = True,
    ) -> None:
        groups = len(in_ranks) if depthwise else 1
        super().__init__(
            len(in_ranks), len(out_ranks), size, padding=size // 2, groups=groups, bias=bias
        )
        place = torch.arange(size * size).view(size, size)
        center = size * size // 2
        before_here = place > center if mirrored else place < center
        behind = out_ranks[:, None] - in_ranks[None]
        visible = behind > 0 if strict else behind >= 0
        if depthwise:
            visible = visible.diagonal()[:, None]
        mask = before_here | ((place == center) & visible[:, :, None, None])
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)

    @property
    def masked_weight(self) -> Tensor:
        """What it convolves with; the rest of ``weight`` is never used."""
        return self.weight * self.mask

    def forward(self, images: Tensor) -> Tensor:
        """Convolve ``images`` (B, C, H, W)."""
        output: Tensor = self._conv_forward(images, self.masked_weight, self.bias)
        return output


class AutoregressiveCell(nn.Module):
    """The shift of each latent given those before it; none at first.

    Args:
        channels: latent channels.
        context_channels: the channels of the features that every output may see.
        mirrored: run in reverse order.
    """

    def __init__(self, channels: int, context_channels: int, *, mirrored: bool) -> None:
        super().__init__()
        latent = torch.arange(channels)
        if mirrored:
            latent = -latent
        hidden = latent.repeat_interleave(HIDDEN_PER_CHANNEL)
        self.first = MaskedConvolution(latent, hidden, _KERNEL, strict=True, mirrored=mirrored)
        self.context = nn.Conv2d(context_channels, len(hidden), 1)
        self.second = MaskedConvolution(hidden, hidden, 1, strict=False, mirrored=mirrored)
        self.last = MaskedConvolution(hidden, latent, 1, strict=False, mirrored=mirrored)
        nn.init.zeros_(self.last.weight)
        if self.last.bias is not None:
            nn.init.zeros_(self.last.bias)

    def forward(self, noise: Tensor, context: Tensor) -> Tensor:
        """The shift (B, C, H, W) of ``noise`` of that shape, within 5 either side of 0.

        Args:
            noise: the cell's input e.
            context: the context's part of the hidden layer, see `prepare`.
        """
        hidden = F.elu(self.first(noise) + context)
        hidden = F.elu(hidden + self.second(hidden))
        return soft_clamp(self.last(hidden))

    def prepare(self, features: Tensor) -> Tensor:
        """What the hidden layer takes from context ``features``, once for all iterations."""
        return in_full_precision(self.context, features)


class Flow(nn.Module):
    """Pairs of autoregressive cells, one in each order.

    Args:
        latent_shape: (C, H, W) of the latent.
        context_channels: the channels of the context's features.
        pairs: the number of pairs.
        cell: what makes a cell.
    """

    def __init__(
        self,
        latent_shape: tuple[int, int, int],
        context_channels: int,
        *,
        pairs: int,
        cell: Callable[..., nn.Module] = AutoregressiveCell,
    ) -> None:
        super().__init__()
        self.latent_shape = latent_shape
        self.cells = nn.ModuleList(
            cell(latent_shape[0], context_channels, mirrored=mirrored)
            for _ in range(pairs)
            for mirrored in (False, True)
        )

    def forward(self, latents: Tensor, features: Tensor, *, inverse: bool = False) -> Tensor:
        """Send the Gaussian's ``latents`` (B, D) through the cells, or back."""
        images = latents.reshape(len(latents), *self.latent_shape)
        for cell in reversed(self.cells) if inverse else self.cells:
            context = cast(AutoregressiveCell, cell).prepare(features)
            with torch.autocast(latents.device.type, enabled=False):
                if inverse:
                    images = _invert(cell, images, context)
                else:
                    images = images - cell(images, context)
        return images.flatten(1)


class FlowGaussian(Conditional):
    """A diagonal Gaussian sent through a flow: it has a density, but no KL in closed form.

    Args:
        base: the Gaussian.
        flow: the flow, whose weights are taken as they are now.
        features: the context, (B, C, H, W).
    """

    def __init__(self, base: DiagonalGaussian, flow: Flow, features: Tensor) -> None:
        self.base = base
        self.flow = flow
        self.features = features
        # As they are now: constants where the chain was detached.
        self._weights: dict[str, Tensor] = dict(flow.named_parameters())
        self._drawn: tuple[Tensor, Tensor] | None = None

    @property
    def mean(self) -> Tensor:
        """Where the flow takes the Gaussian's mean, (B, D); not the mean in general."""
        return self._send(self.base.mean)

    def sample(self, draws: Draws) -> LatentPath:
        """Draw from the Gaussian and send it through the flow."""
        (noise,) = self.base.sample(draws)
        latent = self._send(noise)
        self._drawn = (latent, noise)
        return (latent,)

    def log_prob(self, latent: Tensor) -> Tensor:
        """Log-density in nats; that of its own last sample takes no inverse."""
        if self._drawn is not None and latent is self._drawn[0]:
            noise = self._drawn[1]
        else:
            noise = self._send(latent, inverse=True)
        return self.base.log_prob(noise)  # the flow keeps volume

    def detach(self) -> "FlowGaussian":
        """The same distributions as constants."""
        other = FlowGaussian(self.base.detach(), self.flow, self.features.detach())
        other._weights = {name: weight.detach() for name, weight in self._weights.items()}
        return other

    def _send(self, latents: Tensor, *, inverse: bool = False) -> Tensor:
        sent: Tensor = functional_call(
            self.flow, self._weights, (latents, self.features), {"inverse": inverse}
        )
        return sent


def _invert(cell: nn.Module, latents: Tensor, context: Tensor) -> Tensor:
    """The input for which the cell gives ``latents``, with its exact gradient.

    Raises:
        NotImplementedError: in a backward pass that is to be differentiable itself.
    """

    def step(noise: Tensor) -> Tensor:
        moved: Tensor = latents + cell(noise, context)
        return moved

    rounds = latents[0].numel() + 1
    with torch.no_grad():
        solution = _fixed_point(step, latents, rounds)
    if not torch.is_grad_enabled():
        return solution

    # d noise = d step + J d noise, J = d step / d noise, so a gradient g reaches the step's
    # arguments as v = g + J^T v: again a triangular iteration.
    at_solution = solution.clone().requires_grad_()
    moved = step(at_solution)

    def through_the_inverse(gradient: Tensor) -> Tensor:
        refuse_second_derivative("the inverse of a flow")

        def back(v: Tensor) -> Tensor:
            (product,) = torch.autograd.grad(moved, at_solution, v, retain_graph=True)
            return gradient + product

        return _fixed_point(back, gradient, rounds)

    output = step(solution)
    if output.requires_grad:
        output.register_hook(through_the_inverse)  # type: ignore[no-untyped-call]
    return output


def _fixed_point(step: Callable[[Tensor], Tensor], start: Tensor, rounds: int) -> Tensor:
    """Iterate until nothing moves by more than rounding."""
    current = start
    for _ in range(rounds):
        following = step(current)
        tolerance = 4 * torch.finfo(following.dtype).eps * (1 + following.abs())
        moved = ((following - current).abs() > tolerance).any()
        current = following
        if not moved:
            break
    return current
