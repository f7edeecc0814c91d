"""The cells of NVAE's release (github.com/NVlabs/NVAE) where those of this package are others.

`NVAEConfig.release_cells` takes them. With them the weights are those of the release in number and
in what they are for: its halving skip connections, its flows, and weight normalisation of every
convolution that no batch-norm follows.
"""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pc_crvae.models.images.nvae import cells

_HIDDEN_PER_CHANNEL = 6
_OFFSETS = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Which of four pixels each quarter of a halving skip's channels sees: down, right."""

_LAST_SCALE = 0.1
"""Of the last layer's weights at the start, which brings shifts near to 0."""


def release_encoder_cell(channels: int, *, halve: bool = False) -> cells.Residual:
    """BN-Swish-3x3 convolution, twice, then squeeze-and-excitation.

    Args:
        channels: C of its input; its output has as many, or twice as many where it halves.
        halve: stride by 2, beside a `ShiftedReduction`.
    """
    out_channels = 2 * channels if halve else channels
    branch = nn.Sequential(
        cells.ImageBatchNorm(channels),
        cells.Swish(),
        cells.normalized_convolution(channels, out_channels, 3, stride=2 if halve else 1),
        cells.ImageBatchNorm(out_channels),
        cells.Swish(),
        cells.normalized_convolution(out_channels, out_channels, 3),
        cells.SqueezeExcitation(out_channels),
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


class NormalizedMaskedConvolution(nn.Conv2d):
    """A masked convolution whose visible weights are normalised, then scaled by channel.

    Pixels come in order of rows and columns, or in the reverse where it is mirrored; the channels
    of a pixel come in their own order either way.

    Args:
        in_owners: the latent channel that each input channel belongs to.
        out_owners: the latent channel that each output channel belongs to.
        size: the size of the kernel.
        strict: leave out the output's own latent, which a first layer must.
        mirrored: reverse the order of pixels.
        depthwise: each channel sees itself alone.
        bias: add one.
        scale: the size of the weights at the start, against PyTorch's.
    """

    mask: Tensor

    def __init__(
        self,
        in_owners: Tensor,
        out_owners: Tensor,
        size: int,
        *,
        strict: bool,
        mirrored: bool,
        depthwise: bool = False,
        bias: bool = False,
        scale: float = 1.0,
    ) -> None:
        groups = len(in_owners) if depthwise else 1
        super().__init__(
            len(in_owners), len(out_owners), size, padding=size // 2, groups=groups, bias=bias
        )
        place = torch.arange(size * size).view(size, size)
        center = size * size // 2
        before_here = place > center if mirrored else place < center
        behind = out_owners[:, None] - in_owners[None]
        visible = behind > 0 if strict else behind >= 0
        if depthwise:
            visible = visible.diagonal()[:, None]
        mask = before_here | ((place == center) & visible[:, :, None, None])
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)
        norms = _norms((self.weight * self.mask).detach())
        self.log_scale = nn.Parameter(torch.log(norms + 1e-2) + math.log(scale))

    @property
    def masked_weight(self) -> Tensor:
        """What it convolves with."""
        visible = self.weight * self.mask
        return self.log_scale.exp() * visible / (_norms(visible) + 1e-5)

    def forward(self, images: Tensor) -> Tensor:
        """Convolve ``images`` (B, C, H, W)."""
        output: Tensor = self._conv_forward(images, self.masked_weight, self.bias)
        return output


class ReleaseAutoregressiveCell(nn.Module):
    """The shift of each latent given those before it, whatever the image says.

    3x3 to 6 channels for each of the latent's, depthwise 5x5, 1x1, with ELU between them; twice
    before the last, as in the release. It shifts without bound.

    Args:
        channels: latent channels.
        context_channels: the channels of the features, which it does not see.
        mirrored: run in reverse order.
    """

    def __init__(self, channels: int, context_channels: int, *, mirrored: bool) -> None:
        super().__init__()
        latent = torch.arange(channels)
        hidden = latent.repeat_interleave(_HIDDEN_PER_CHANNEL)
        make = NormalizedMaskedConvolution
        self.first = make(latent, hidden, 3, strict=True, mirrored=mirrored)
        self.second = make(hidden, hidden, 5, strict=False, mirrored=mirrored, depthwise=True)
        self.last = make(
            hidden, latent, 1, strict=False, mirrored=mirrored, bias=True, scale=_LAST_SCALE
        )

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
