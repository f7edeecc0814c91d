"""NVAE's residual cells (arXiv 2007.03898, section 3.1), on images (B, C, H, W).

They run fastest where channels come last in memory, as `NVAE` keeps them: batch-norm's rows are
then views, and depthwise convolutions take a half to a quarter of the time on a CPU.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from pc_crvae.models.batch_norm import BatchNorm

RESIDUAL_SCALE = 0.1
"""Of a cell's branch beside its skip connection, as in the authors' release: a stack of dozens
starts near the identity."""

BATCH_NORM_MOMENTUM = 0.05


class ImageBatchNorm(BatchNorm):
    """Batch normalisation of the channels of images, over processes where it is synchronised.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.momentum = BATCH_NORM_MOMENTUM

    def forward(self, images: Tensor) -> Tensor:
        """Normalise ``images`` (B, C, H, W)."""
        return super().forward(images.movedim(1, -1)).movedim(-1, 1)


class SqueezeExcitation(nn.Module):
    """Channels gated by what the whole image holds (Hu et al. 2018, arXiv 1709.01507).

    Args:
        channels: C; the bottleneck has C / 16, and no fewer than 4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        bottleneck = max(channels // 16, 4)
        self.squeeze = nn.Linear(channels, bottleneck)
        self.excite = nn.Linear(bottleneck, channels)

    def forward(self, images: Tensor) -> Tensor:
        """Gate the channels of ``images`` (B, C, H, W)."""
        hidden = F.relu(self.squeeze(images.mean(dim=(2, 3))))
        return images * torch.sigmoid(self.excite(hidden))[:, :, None, None]


class Swish(nn.Module):
    """x sigmoid(x)."""

    def forward(self, images: Tensor) -> Tensor:
        """Apply it to a tensor of any shape, without touching it: skips share their input."""
        return F.silu(images)


class Residual(nn.Module):
    """A branch beside a skip connection that fits it."""

    def __init__(self, branch: nn.Module, skip: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.skip = skip

    def forward(self, images: Tensor) -> Tensor:
        """Add the branch, scaled down, to the skip connection."""
        output: Tensor = self.skip(images) + RESIDUAL_SCALE * self.branch(images)
        return output


def encoder_cell(in_channels: int, out_channels: int, *, halve: bool = False) -> Residual:
    """BN-Swish-3x3 convolution, twice, then squeeze-and-excitation; ``halve`` strides by 2."""
    skip: nn.Module = nn.Identity()
    if halve:  # Every pixel counts, unlike in a strided 1x1 convolution.
        skip = nn.Sequential(Swish(), nn.Conv2d(in_channels, out_channels, 2, stride=2))
    elif in_channels != out_channels:
        skip = nn.Conv2d(in_channels, out_channels, 1)
    branch = nn.Sequential(
        ImageBatchNorm(in_channels),
        Swish(),
        nn.Conv2d(
            in_channels, out_channels, 3, stride=2 if halve else 1, padding=1, bias=False
        ),  # the next batch-norm has the bias
        ImageBatchNorm(out_channels),
        Swish(),
        nn.Conv2d(out_channels, out_channels, 3, padding=1),
        SqueezeExcitation(out_channels),
    )
    return Residual(branch, skip)


def generative_cell(
    in_channels: int,
    out_channels: int,
    *,
    expansion: int,
    double: bool = False,
    release: bool = False,
) -> Residual:
    """The cell of the top-down network and the decoder.

    BN, 1x1 expansion, BN-Swish, depthwise 5x5, BN-Swish, 1x1, BN, squeeze-and-excitation.

    Args:
        in_channels: the channels of its input.
        out_channels: the channels of its output.
        expansion: E, hidden channels for each channel of the input.
        double: double the resolution first.
        release: the skip connection that doubles is normalised and has no bias, as in the release.
    """
    hidden = in_channels * expansion
    skip: nn.Module = nn.Identity()
    if double:
        skip = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
            normalized_convolution(in_channels, out_channels, 1, bias=False)
            if release
            else nn.Conv2d(in_channels, out_channels, 1),
        )
    elif in_channels != out_channels:
        skip = nn.Conv2d(in_channels, out_channels, 1)
    branch = nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest") if double else nn.Identity(),
        ImageBatchNorm(in_channels),
        nn.Conv2d(in_channels, hidden, 1, bias=False),
        ImageBatchNorm(hidden),
        Swish(),
        nn.Conv2d(hidden, hidden, 5, padding=2, groups=hidden, bias=False),
        ImageBatchNorm(hidden),
        Swish(),
        nn.Conv2d(hidden, out_channels, 1, bias=False),
        ImageBatchNorm(out_channels),
        SqueezeExcitation(out_channels),
    )
    return Residual(branch, skip)


def normalized_convolution(
    in_channels: int, out_channels: int, size: int, *, stride: int = 1, bias: bool = True
) -> nn.Conv2d:
    """A convolution with weight normalisation, for where no batch-norm follows."""
    convolution = nn.Conv2d(
        in_channels, out_channels, size, stride=stride, padding=size // 2, bias=bias
    )
    normalize: Callable[[nn.Module], nn.Module] = weight_norm
    normalize(convolution)
    return convolution
