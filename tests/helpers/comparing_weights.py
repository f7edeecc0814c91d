"""The weights of runs, held against each other."""

import torch
from safetensors.torch import load_file


def weights_of(folder):
    return load_file(folder / "model.safetensors")


def assert_equal_weights(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name
