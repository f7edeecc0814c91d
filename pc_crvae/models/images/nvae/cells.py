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


def encoder_cell(channels: int, *, halve: bool = False) -> Residual:
    """An `encoder_branch` beside its skip connection; ``halve`` strides by 2 and doubles C."""
    skip: nn.Module = nn.Identity()
    out_channels, stride = channels, 1
    if halve:  # Every pixel counts, unlike in a strided 1x1 convolution.
        out_channels, stride = 2 * channels, 2
        skip = nn.Sequential(nn.SiLU(), nn.Conv2d(channels, out_channels, 2, stride=2))
    branch = encoder_branch(
        # The batch-norm that follows has the bias.
        nn.Conv2d(channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.Conv2d(out_channels, out_channels, 3, padding=1),
    )
    return Residual(branch, skip)


def encoder_branch(first: nn.Conv2d, second: nn.Conv2d) -> nn.Sequential:
    """BN-Swish-convolution, twice, then squeeze-and-excitation."""
    return nn.Sequential(
        ImageBatchNorm(first.in_channels),
        nn.SiLU(),
        first,
        ImageBatchNorm(first.out_channels),
        nn.SiLU(),
        second,
        SqueezeExcitation(second.out_channels),
    )


def generative_cell(
    channels: int, *, expansion: int, double: bool = False, release: bool = False
) -> Residual:
    """The cell of the top-down network and the decoder.

    BN, 1x1 expansion, BN-Swish, depthwise 5x5, BN-Swish, 1x1, BN, squeeze-and-excitation.

    Args:
        channels: the channels of its input; its output has as many, or half where it doubles.
        expansion: E, hidden channels for each channel of the input.
        double: double the resolution first.
        release: the skip connection that doubles is normalised and has no bias, as in the release.
    """
    hidden = channels * expansion
    skip: nn.Module = nn.Identity()
    out_channels = channels
    if double:
        out_channels = channels // 2
        skip = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
            normalized_convolution(channels, out_channels, 1, bias=False)
            if release
            else nn.Conv2d(channels, out_channels, 1),
        )
    branch = nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest") if double else nn.Identity(),
        ImageBatchNorm(channels),
        nn.Conv2d(channels, hidden, 1, bias=False),
        ImageBatchNorm(hidden),
        nn.SiLU(),
        nn.Conv2d(hidden, hidden, 5, padding=2, groups=hidden, bias=False),
        ImageBatchNorm(hidden),
        nn.SiLU(),
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
