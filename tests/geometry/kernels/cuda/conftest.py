"""Plain PyTorch serves what the Triton kernels are compared with."""

import pytest

from helpers.kernel_choice import forced


@pytest.fixture(autouse=True)
def plain_pytorch_serves_what_kernels_are_compared_with():
    with forced("reference"):
        yield
