"""The section of an experiment's schema that describes an NVAE."""

from typing import Annotated, Literal

from pydantic import Field

from pc_crvae.config.images import BernoulliLikelihoodConfig, ImageLikelihoodConfig
from pc_crvae.config.sections import NonNegative, PositiveInt, Repeats, Section

GroupsPerScale = Annotated[tuple[Repeats, ...], Field(min_length=1, max_length=12)]


class NVAEConfig(Section):
    """NVAE: groups of latents at several scales (arXiv 2007.03898)."""

    name: Literal["nvae"]
    initial_channels: PositiveInt = 16
    """channels at the image's own resolution; they double as it halves"""
    preprocess_blocks: int = Field(1, ge=0, le=12)
    """halvings between the image and the largest scale of latents"""
    preprocess_cells: Repeats = 1
    """encoder cells each halving takes"""
    postprocess_cells: Repeats = 1
    """decoder cells each doubling takes"""
    groups_per_scale: GroupsPerScale = (2, 2)
    """latent groups at each scale, the smallest resolution first"""
    latent_channels: PositiveInt = 20
    """latent channels of a group"""
    encoder_cells: Repeats = 1
    """encoder cells a group"""
    decoder_cells: Repeats = 1
    """top-down cells a group"""
    expansion: PositiveInt = 6
    """hidden channels a channel, in top-down cells"""
    postprocess_expansion: PositiveInt = 3
    """the same, in the decoder's cells"""
    flows: int = Field(0, ge=0, le=64)
    """pairs of autoregressive cells in each group's posterior; its KLs are then estimated at the
    sample"""
    release_cells: bool = False
    """halving skip connections, flows and weight normalisation as in the authors' release, and as
    many weights; models saved before this option have the others"""
    spectral_weight: NonNegative = 0.01
    """of the convolutions' largest singular values, summed, in the loss"""
    batch_norm_weight: NonNegative = 0.01
    """of each batch-norm's largest scale, summed, in the loss"""
    representation_groups: PositiveInt | None = None
    """groups, from the top, whose means are the representation; null: all"""

    @property
    def image_multiple(self) -> int:
        """The encoder pads images to a multiple of this many pixels."""
        multiple: int = 2 ** (self.preprocess_blocks + len(self.groups_per_scale) - 1)
        return multiple


class NVAEModelConfig(NVAEConfig):
    """An NVAE and the likelihood of the images it is a model of."""

    likelihood: ImageLikelihoodConfig = Field(BernoulliLikelihoodConfig(name="bernoulli"))
