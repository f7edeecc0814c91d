"""NVAE's three networks: the bottom-up encoder, the top-down groups, the decoder's tail."""

from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pc_crvae.config.nvae import NVAEConfig
from pc_crvae.latents.hierarchical import TopDown
from pc_crvae.latents.posteriors import Conditional, DiagonalGaussian
from pc_crvae.models.images.nvae.cells import encoder_cell, generative_cell, normalized_convolution
from pc_crvae.models.images.nvae.flows import AutoregressiveCell, Flow, FlowGaussian
from pc_crvae.models.images.nvae.gaussian import ClampedGaussian
from pc_crvae.models.images.nvae.release import ReleaseAutoregressiveCell, release_encoder_cell
from pc_crvae.models.mlp import in_full_precision


class BottomUp(nn.Module):
    """The encoder: features of the image for every group, from its own resolution upwards.

    Args:
        config: the architecture.
        image_channels: the channels of the image.
    """

    def __init__(self, config: NVAEConfig, image_channels: int) -> None:
        super().__init__()
        channels = config.initial_channels
        self.stem = normalized_convolution(image_channels, channels, 3)
        blocks: list[nn.Module] = []
        for _ in range(config.preprocess_blocks):
            blocks += [_encoder_cell(config, channels) for _ in range(config.preprocess_cells - 1)]
            blocks.append(_encoder_cell(config, channels, halve=True))
            channels *= 2
        self.preprocess = nn.Sequential(*blocks)
        # One part a group, the largest resolution, hence the last group, first.
        parts: list[nn.Module] = []
        for scale, groups in enumerate(reversed(config.groups_per_scale)):
            for group in range(groups):
                cells: list[nn.Module] = []
                if scale > 0 and group == 0:
                    cells.append(_encoder_cell(config, channels, halve=True))
                    channels *= 2
                cells += [_encoder_cell(config, channels) for _ in range(config.encoder_cells)]
                parts.append(nn.Sequential(*cells))
        self.parts = nn.ModuleList(parts)
        self.top = normalized_convolution(channels, channels, 1)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features of ``images`` (B, C, H, W) for each group, the top one first."""
        features = self.preprocess(self.stem(images))
        by_group: list[Tensor] = []
        for part in self.parts:
            features = part(features)
            by_group.append(features)
        by_group[-1] = F.elu(self.top(F.elu(by_group[-1])))
        return by_group[::-1]


class Group(nn.Module):
    """One group's share of the top-down network.

    Args:
        config: the architecture.
        channels: the channels of the state.
        resolution: (H, W) of state and latent.
        is_top: whether there is no group before it, so that its prior is N(0, I).
        cells: the cells from the state after its latent to what the next group sees.
    """

    def __init__(
        self,
        config: NVAEConfig,
        channels: int,
        resolution: tuple[int, int],
        *,
        is_top: bool,
        cells: list[nn.Module],
    ) -> None:
        super().__init__()
        self.latent_shape = (config.latent_channels, *resolution)
        parameters = 2 * config.latent_channels
        self.prior = None if is_top else normalized_convolution(channels, parameters, 1)
        self.combine = None if is_top else normalized_convolution(channels, channels, 1)
        self.posterior = normalized_convolution(channels, parameters, 3)
        self.flow = None
        if config.flows:
            cell = ReleaseAutoregressiveCell if config.release_cells else AutoregressiveCell
            self.flow = Flow(self.latent_shape, channels, pairs=config.flows, cell=cell)
        self.absorb = normalized_convolution(channels + config.latent_channels, channels, 1)
        self.cells = nn.Sequential(*cells)

    @property
    def size(self) -> int:
        """D_l."""
        return prod(self.latent_shape)


class GroupsTopDown(TopDown):
    """NVAE's groups, from the smallest resolution to the largest.

    Args:
        config: the architecture.
        resolution: (H, W) of the smallest scale.
    """

    def __init__(self, config: NVAEConfig, resolution: tuple[int, int]) -> None:
        super().__init__()
        scales = len(config.groups_per_scale)
        channels = config.initial_channels * 2 ** (config.preprocess_blocks + scales - 1)
        draw = torch.rand if config.release_cells else torch.randn
        self.initial = nn.Parameter(draw(1, channels, *resolution))

        groups: list[Group] = []
        for scale, count in enumerate(config.groups_per_scale):
            for index in range(count):
                is_last_of_scale = index == count - 1
                is_last = is_last_of_scale and scale == scales - 1
                following: list[nn.Module] = []
                here, size = channels, resolution
                if is_last_of_scale and not is_last:
                    following.append(_doubling_cell(config, channels, config.expansion))
                    channels //= 2
                    resolution = (2 * resolution[0], 2 * resolution[1])
                if not is_last:
                    following += _cells(config.decoder_cells, channels, config.expansion)
                groups.append(Group(config, here, size, is_top=not groups, cells=following))
        self.groups = nn.ModuleList(groups)

    @property
    def group_sizes(self) -> tuple[int, ...]:
        """D_l of every group, the top one first."""
        return tuple(self._group(index).size for index in range(len(self.groups)))

    def start(self) -> Tensor:
        """What was learnt of all images: (1, C, H, W)."""
        return self.initial

    def prior(self, group: int, state: Tensor) -> DiagonalGaussian:
        """N(0, I) for the top group, else a Gaussian read from the state."""
        part = self._group(group)
        if part.prior is None:
            zeros = self.initial.new_zeros((1, part.size))
            return ClampedGaussian(zeros, zeros)
        return ClampedGaussian(*_parameters(part.prior, F.elu(state)))

    def posterior(
        self, group: int, state: Tensor, prior: DiagonalGaussian, encoder_features: Tensor
    ) -> Conditional:
        """A Gaussian relative to the prior, behind a flow if there is one."""
        assert isinstance(prior, ClampedGaussian)
        part = self._group(group)
        features = encoder_features
        if part.combine is not None:
            features = features + part.combine(state)
        gaussian = prior.shifted(*_parameters(part.posterior, features))
        return FlowGaussian(gaussian, part.flow, features) if part.flow else gaussian

    def combine(self, group: int, state: Tensor, latent: Tensor) -> Tensor:
        """Mix the latent into the state and run the cells up to the next group."""
        part = self._group(group)
        image = latent.reshape(len(latent), *part.latent_shape)
        state = state.expand(len(image), *state.shape[1:])
        mixed: Tensor = part.absorb(torch.cat([state, image.to(state.dtype)], dim=1))
        mixed = mixed.contiguous(memory_format=torch.channels_last)
        state = part.cells(mixed)
        return state

    def _group(self, index: int) -> Group:
        group = self.groups[index]
        assert isinstance(group, Group)
        return group


class Tail(nn.Module):
    """From the state after the last group to the likelihood's parameters.

    Args:
        config: the architecture.
        parameter_channels: what the likelihood takes.
    """

    def __init__(self, config: NVAEConfig, parameter_channels: int) -> None:
        super().__init__()
        channels = config.initial_channels * 2**config.preprocess_blocks
        expansion = config.postprocess_expansion
        cells: list[nn.Module] = []
        for _ in range(config.preprocess_blocks):
            cells.append(_doubling_cell(config, channels, expansion))
            channels //= 2
            cells += _cells(config.postprocess_cells - 1, channels, expansion)
        self.cells = nn.Sequential(*cells)
        self.last = normalized_convolution(channels, parameter_channels, 3)

    def forward(self, state: Tensor) -> Tensor:
        """Parameters (B, parameter channels, H, W) of ``state`` (B, C, h, w)."""
        return in_full_precision(self.last, F.elu(self.cells(state)))


def _encoder_cell(config: NVAEConfig, channels: int, *, halve: bool = False) -> nn.Module:
    cell = release_encoder_cell if config.release_cells else encoder_cell
    return cell(channels, halve=halve)


def _doubling_cell(config: NVAEConfig, channels: int, expansion: int) -> nn.Module:
    release = config.release_cells
    return generative_cell(channels, expansion=expansion, double=True, release=release)


def _cells(count: int, channels: int, expansion: int) -> list[nn.Module]:
    return [generative_cell(channels, expansion=expansion) for _ in range(count)]


def _parameters(layer: nn.Module, features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and logarithm of sigma, (B, D) each, of ``features`` (B, C, H, W)."""
    mean, log_sigma = in_full_precision(layer, features).chunk(2, dim=1)
    return mean.flatten(1), log_sigma.flatten(1)
