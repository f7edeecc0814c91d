"""The shapes of a model's weights, found out before any memory is taken for them.

A description of a few bytes can name a latent of four billion numbers or twenty thousand layers. So
the model is first built on PyTorch's meta device, whose tensors have shapes and no numbers, and
held against the weights that are there.
"""

import threading
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

_SPARE_TENSORS, _SPARE_NUMBERS = 256, 2**20


class LargerModelError(ValueError):
    """A model has far more weights than there are."""


def shapes_of(
    build: Callable[[], nn.Module], weights: Mapping[str, Tensor]
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of what the ``state_dict`` of a model would hold, by name.

    Args:
        build: makes the model.
        weights: those that it is to take.

    Raises:
        LargerModelError: it would have far more of them; nothing of that size was made.
        ValueError: from ``build``.
    """
    # A weight may be registered more than once while a model is built.
    most_tensors = 4 * len(weights) + _SPARE_TENSORS
    most_numbers = 4 * sum(tensor.numel() for tensor in weights.values()) + _SPARE_NUMBERS
    thread = threading.get_ident()
    tensors = numbers = 0

    def count(module: nn.Module, name: str, parameter: Tensor | None) -> None:
        nonlocal tensors, numbers
        if threading.get_ident() != thread:
            return
        tensors += 1
        numbers += 0 if parameter is None else parameter.numel()
        if tensors > most_tensors or numbers > most_numbers:
            raise LargerModelError("it would have far more weights than there are")

    hook = register_module_parameter_registration_hook(count)
    try:
        with torch.device("meta"):
            outline = build()
    finally:
        hook.remove()
    return {name: tuple(tensor.shape) for name, tensor in outline.state_dict().items()}
