"""Principal frames: the axes along which a cloud spreads, which turn as the cloud turns."""

from typing import Literal

import torch
from torch import Tensor

Turns = Literal["z", "so3"]
"""About the vertical, or any."""

# Each is a rotation, so that a frame stays right-handed: what differs is where the axes point.
_SIGNS: dict[Turns, list[list[int]]] = {
    "z": [[1, 1, 1], [-1, -1, 1]],
    "so3": [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]],
}

FRAMES: dict[Turns, int] = {turns: len(signs) for turns, signs in _SIGNS.items()}
"""How many frames `principal_frames` gives a cloud."""


def principal_frames(points: Tensor, turns: Turns) -> Tensor:
    """Every right-handed frame of the principal axes of clouds.

    The eigenvectors of a cloud's covariance, of its horizontal part alone for ``z``, are known but
    for their signs; all choices are given, in an order that means nothing. For a rotation R of
    ``turns``, the frames of R x are R times those of x, provided the eigenvalues are distinct:
    where two are equal, as of a round table, the axes between them are arbitrary. No gradient
    passes through them.

    Args:
        points: (B, N, 3).
        turns: whose rotations the frames follow.

    Returns:
        (B, F, 3, 3) rotation matrices, axes in columns, so that ``points @ frame`` are coordinates
        in it; F is 2 for ``z`` (the third axis the vertical) and 4 for ``so3``. In the dtype of
        ``points``.
    """
    with torch.no_grad(), torch.autocast(points.device.type, enabled=False):
        # In float64, so that near-equal axes are told apart alike however the cloud is turned;
        # Apple's GPUs have none.
        device = torch.device("cpu") if points.device.type == "mps" else points.device
        precise = points.to(device, torch.float64)
        centered = precise - precise.mean(dim=1, keepdim=True)
        if turns == "z":
            centered = centered[..., :2]
        _, axes = torch.linalg.eigh(centered.transpose(1, 2) @ centered)
        frame = torch.eye(3, dtype=axes.dtype, device=axes.device).repeat(len(points), 1, 1)
        size = axes.shape[1]
        frame[:, :size, :size] = axes
        frame[:, :, 0] *= torch.linalg.det(frame).sign().unsqueeze(1)
        signs = torch.tensor(_SIGNS[turns], dtype=axes.dtype, device=axes.device)
        return (frame.unsqueeze(1) * signs[None, :, None, :]).to(points)
