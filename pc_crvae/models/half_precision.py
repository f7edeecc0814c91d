"""Weights in half of their bytes, for a model that is small on the disk."""

import torch
from torch import Tensor, nn

from pc_crvae.errors import UserError


def halved_matrices(module: nn.Module) -> dict[str, Tensor]:
    """The matrices of weights of ``module`` as float16, by name, on the CPU.

    They are nearly all of a model's bytes. Vectors, such as biases and the scales of batch-norm,
    and buffers, such as its running variances, whose range is wider, are left out.

    Raises:
        UserError: one holds a number that float16 does not.
    """
    halved = {}
    for name, parameter in module.named_parameters():
        if parameter.ndim < 2:
            continue
        matrix = parameter.detach().cpu().to(torch.float16).contiguous()
        if not torch.isfinite(matrix).all():
            raise UserError(
                f"{name} holds a weight beyond {torch.finfo(torch.float16).max:,.0f}, which half "
                "precision does not: save the model in full"
            )
        halved[name] = matrix
    return halved
