"""Statistics of latent codes over a data set."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def active_units(means: Tensor | NDArray[np.floating], threshold: float = 0.01) -> int:
    """Count the latent dimensions that the posterior mean uses.

    A unit is active when Var_x(E_q(z|x)[z]) > ``threshold``, the variance taken over the data
    (Burda et al. 2016, arXiv 1509.00519).

    Args:
        means: (n, d) posterior means of n samples, computed on in float64.
        threshold: variance above which a unit counts.

    Raises:
        ValueError: ``means`` is not (n, d) with n >= 2.
    """
    if means.ndim != 2 or means.shape[0] < 2:
        raise ValueError(f"means must be (n, d) with n >= 2, got shape {tuple(means.shape)}")
    variances = torch.as_tensor(means).detach().double().var(dim=0, correction=0)
    return int((variances > threshold).sum())
