"""The cells of NVAE's release (github.com/NVlabs/NVAE) where those of this package are others.

`NVAEConfig.release_cells` takes them. With them the weights are those of the release in number and
in what they are for: its halving skip connections, its flows, and weight normalisation of every
convolution that no batch-norm follows.
"""

import math
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pc_crvae.models.images.nvae import cells
from pc_crvae.models.images.nvae.flows import HIDDEN_PER_CHANNEL, MaskedConvolution

_OFFSETS = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Which of four pixels each quarter of a halving skip's channels sees: down, right."""

_LAST_SCALE = 0.1
"""Of the last layer's weights at the start, which brings shifts near to 0."""


def release_encoder_cell(channels: int, *, halve: bool = False) -> cells.Residual:
    """An `encoder_branch` beside its skip connection.

    Args:
        channels: C of its input; its output has as many, or twice as many where it halves.
        halve: stride by 2, beside a `ShiftedReduction`.
    """
    out_channels, stride = (2 * channels, 2) if halve else (channels, 1)
    branch = cells.encoder_branch(
        cells.normalized_convolution(channels, out_channels, 3, stride=stride),
        cells.normalized_convolution(out_channels, out_channels, 3),
    )
    return cells.Residual(
        branch, ShiftedReduction(channels, out_channels) if halve else nn.Identity()
    )


class ShiftedReduction(nn.Module):
    """A skip connection that halves: Swish, then four strided 1x1 convolutions side by side.

    Each sees another of the four pixels that become one, and gives a quarter of the channels.

    Args:
        in_channels: the channels of its input, whose sides are even.
        out_channels: the channels of its output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        quarter = out_channels // 4
        self.convolutions = nn.ModuleList(
            cells.normalized_convolution(in_channels, width, 1)
            for width in (quarter, quarter, quarter, out_channels - 3 * quarter)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Halve ``images`` (B, C, H, W)."""
        images = F.silu(images)
        pairs = zip(self.convolutions, _OFFSETS, strict=True)
        # Strides are taken by the slices, whose copies every backward of a convolution takes.
        pixels = [
            convolution(
                images[:, :, down::2, right::2].contiguous(memory_format=torch.channels_last)
            )
            for convolution, (down, right) in pairs
        ]
        return torch.cat(pixels, dim=1)


class NormalizedMaskedConvolution(MaskedConvolution):
    """A masked convolution whose visible weights are normalised, then scaled by channel.

    Args:
        in_ranks: as of `MaskedConvolution`.
        out_ranks: likewise.
        size: likewise.
        scale: the size of the weights at the start, against PyTorch's.
        options: the other arguments of `MaskedConvolution`.
    """

    def __init__(
        self, in_ranks: Tensor, out_ranks: Tensor, size: int, *, scale: float = 1.0, **options: bool
    ) -> None:
        super().__init__(in_ranks, out_ranks, size, **options)
        norms = _norms(super().masked_weight.detach())
        self.log_scale = nn.Parameter(torch.log(norms + 1e-2) + math.log(scale))

    @property
    def masked_weight(self) -> Tensor:
        """What it convolves with."""
        visible = super().masked_weight
        return self.log_scale.exp() * visible / (_norms(visible) + 1e-5)


class ReleaseAutoregressiveCell(nn.Module):
    """The shift of each latent given those before it, whatever the image says.

    3x3 to 6 channels for each of the latent's, depthwise 5x5, 1x1, with ELU between them; twice
    before the last, as in the release. It shifts without bound.

    Args:
        channels: latent channels.
        context_channels: the channels of the features, which it does not see.
        mirrored: run through the pixels in reverse; their channels stay in order.
    """

    def __init__(self, channels: int, context_channels: int, *, mirrored: bool) -> None:
        super().__init__()
        latent = torch.arange(channels)
        hidden = latent.repeat_interleave(HIDDEN_PER_CHANNEL)
        make = partial(NormalizedMaskedConvolution, mirrored=mirrored)
        self.first = make(latent, hidden, 3, strict=True, bias=False)
        self.second = make(hidden, hidden, 5, strict=False, bias=False, depthwise=True)
        self.last = make(hidden, latent, 1, strict=False, scale=_LAST_SCALE)

    def forward(self, noise: Tensor, context: Tensor) -> Tensor:
        """The shift (B, C, H, W) of ``noise`` of that shape; ``context`` is not looked at."""
        hidden = F.elu(self.second(F.elu(self.first(noise))))
        return cast(Tensor, self.last(F.elu(hidden)))

    def prepare(self, features: Tensor) -> Tensor:
        """Nothing of the context ``features``."""
        return features.new_empty(0)


def _norms(weight: Tensor) -> Tensor:
    """The length of each output channel's weights (C, ...), as (C, 1, 1, 1)."""
    return weight.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
