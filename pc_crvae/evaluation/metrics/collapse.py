"""Whether a model decodes shapes, or much the same cloud whatever it is given."""

import torch
from torch import Tensor

from pc_crvae.geometry import chamfer_distance


def gain_over_fixed(decoded: Tensor, clouds: Tensor, fixed: Tensor) -> float:
    """How much nearer reconstructions are to their shapes than the best of some fixed clouds is.

    Distances are Chamfer's, the sum of both directions' mean squared distances, in the mean over
    the shapes. A model that decodes one cloud for all, or worse, gains nothing over that cloud.

    Args:
        decoded: (n, M, 3), what the shapes were decoded to.
        clouds: (n, N, 3), the shapes.
        fixed: (m, K, 3), each of which stands for all of the shapes, such as their mean shape.

    Returns:
        1 less the ratio of the distances: 1 of perfect reconstructions, 0 of none better than the
        fixed cloud, negative where that cloud is the better one.
    """
    own = chamfer_distance(decoded, clouds).double().mean()
    of_fixed = [
        chamfer_distance(one.expand(len(clouds), -1, -1), clouds).double().mean() for one in fixed
    ]
    return float(1 - own / torch.stack(of_fixed).min())


def mean_shape(clouds: Tensor, points: int) -> Tensor:
    """The mean shape of clouds as one cloud: points of all of them, in turn.

    Args:
        clouds: (n, N, 3), whose points come in no order.
        points: M, no more than n N.

    Returns:
        (M, 3).
    """
    return clouds.transpose(0, 1).flatten(end_dim=1)[:points]
