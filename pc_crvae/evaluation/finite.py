"""Whether what a model gives are numbers."""

import torch
from torch import Tensor

from pc_crvae.errors import UserError


def finite(values: Tensor, what: str) -> Tensor:
    """Return ``values`` of a model, named by ``what``, where all are finite.

    Raises:
        UserError: one is not.
    """
    if not torch.isfinite(values).all():
        raise UserError(
            f"the model's {what} hold NaN or infinite values: check its weights, for example for a "
            "training that diverged"
        )
    return values
