"""The schema's section of an NVAE: strict, and light to import."""

import subprocess
import sys

import pydantic
import pytest

from helpers.nvae_sizes import MNIST, cifar10
from pc_crvae.config.nvae import NVAEConfig


def test_the_published_sizes_are_those_of_the_paper():
    cifar = cifar10()
    assert cifar.groups_per_scale == (30,)
    assert (cifar.latent_channels, cifar.initial_channels, cifar.image_multiple) == (20, 128, 2)
    assert (sum(MNIST.groups_per_scale), MNIST.flows, MNIST.image_multiple) == (15, 0, 8)


@pytest.mark.parametrize(
    "wrong",
    [
        {"groups_per_scale": ()},
        {"groups_per_scale": (2, 0)},
        {"initial_channels": 0},
        {"flows": -1},
        {"spectral_weight": -0.1},
        {"representation_groups": 0},
        {"groups": 3},
        {"name": "vae"},
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(pydantic.ValidationError):
        NVAEConfig(**({"name": "nvae"} | wrong))


def test_it_imports_without_torch():
    code = "import sys, pc_crvae.config.nvae; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
