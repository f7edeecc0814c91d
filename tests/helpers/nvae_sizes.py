"""NVAEs of a size for tests, and of the published ones."""

from pathlib import Path

from pc_crvae.config import find_config, load_config
from pc_crvae.config.nvae import NVAEConfig

# Three groups of a few channels.
TOY = NVAEConfig(
    name="nvae",
    initial_channels=4,
    preprocess_blocks=1,
    groups_per_scale=(1, 2),
    latent_channels=2,
    expansion=2,
    postprocess_expansion=2,
)

# Table 6 and the commands of the authors' release.
MNIST = NVAEConfig(
    name="nvae",
    initial_channels=32,
    preprocess_blocks=2,
    preprocess_cells=3,
    postprocess_cells=3,
    groups_per_scale=(5, 10),
    encoder_cells=2,
    decoder_cells=2,
)


def cifar10() -> NVAEConfig:
    """The published size with flows: 30 groups of 20 x 16 x 16."""
    return load_config(find_config(Path("cifar10-nvae"))).model
