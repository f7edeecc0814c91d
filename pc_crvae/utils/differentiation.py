"""What functions with a backward of their own owe to those who differentiate twice or otherwise.

A kernel sees numbers, not the operations that PyTorch follows. So its backward gives gradients
that depend on nothing, where a second derivative is asked for, and PyTorch's `once_differentiable`
lets that pass unless the incoming gradient itself needs one. `torch.func`, forward mode and exports
go further and replace the tensors, which no kernel can read.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad


def is_transformed() -> bool:
    """Whether what runs now is followed by more than the backward pass.

    By `torch.func` (vmap, jvp, grad and the rest), by forward-mode derivatives, or by
    `torch.export`, `torch.jit.trace` and the exports to ONNX that are built on them.
    """
    is_functional = torch._C._functorch.peek_interpreter_stack() is not None
    return is_functional or forward_ad._current_level >= 0 or is_exported()


def is_exported() -> bool:
    """Whether what runs now is recorded, as `torch.export` and `torch.jit.trace` do."""
    exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return tracing or bool(exporting())


def wants_graph(*gradients: Tensor) -> bool:
    """Whether a backward that is at work has to be differentiable, or is run for many at once.

    Args:
        gradients: what the backward was given.
    """
    return (
        torch.is_grad_enabled()  # during a backward: create_graph=True
        or is_transformed()
        or any(torch._C._functorch.is_legacy_batchedtensor(gradient) for gradient in gradients)
    )


def differentiable_gradients(
    function: Callable[..., tuple[Tensor, ...]],
    inputs: Sequence[Tensor],
    gradients: Sequence[Tensor],
) -> list[Tensor | None]:
    """The gradients of ``function`` in its ``inputs``, by operations that can be differentiated.

    For the backward of an `torch.autograd.Function`. It computes the function anew, in plain
    PyTorch, which costs more than a kernel does.

    Args:
        function: the same function as the forward's, in plain PyTorch.
        inputs: what it takes, as `ctx.saved_tensors` gives it.
        gradients: the gradients of its outputs, in their order; those that are left over are not
            asked for.

    Returns:
        One an input; None where an input needs none.
    """
    keep = torch.is_grad_enabled()
    with torch.enable_grad(), torch.autocast(inputs[0].device.type, enabled=False):
        # Views: where one input is made of another, each gradient is still that of the function.
        views = [tensor.view_as(tensor) for tensor in inputs]
        outputs = [output for output, _ in zip(function(*views), gradients, strict=False)]
        wanted = [view for view in views if view.requires_grad]
        if not wanted:
            return [None] * len(views)
        pairs = [pair for pair in zip(outputs, gradients, strict=False) if pair[0].requires_grad]
        sought, given = [output for output, _ in pairs], [gradient for _, gradient in pairs]
        made = torch.autograd.grad(sought, wanted, given, create_graph=keep, allow_unused=True)
    found = iter(made)
    return [next(found) if view.requires_grad else None for view in views]


def refuse_second_derivative(of: str) -> None:
    """Raise where the backward that is at work was asked to be differentiable.

    Args:
        of: what has first derivatives alone, for the message.

    Raises:
        NotImplementedError: ``create_graph=True`` was asked for.
    """
    if torch.is_grad_enabled():
        raise NotImplementedError(
            f"{of} has no second derivatives: differentiate without create_graph=True"
        )
