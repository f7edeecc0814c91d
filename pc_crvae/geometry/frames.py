"""Principal frames: the axes along which a cloud spreads, which rotate with the cloud."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from pc_crvae.utils.differentiation import is_transformed

RotationGroup = Literal["z", "so3"]
"""Rotations about the vertical, or all."""

# Each is a rotation, so that a frame stays right-handed: what differs is where the axes point.
_SIGNS: dict[RotationGroup, list[list[int]]] = {
    "z": [[1, 1, 1], [-1, -1, 1]],
    "so3": [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]],
}

FRAMES: dict[RotationGroup, int] = {group: len(signs) for group, signs in _SIGNS.items()}
"""How many frames `principal_frames` gives a cloud."""


def axis_signs(group: RotationGroup) -> Tensor:
    """How the axes of each of the F frames of `principal_frames` point beside the first: (F, 3)."""
    return torch.tensor(_SIGNS[group], dtype=torch.float32)


def principal_frames(points: Tensor, group: RotationGroup) -> Tensor:
    """Every right-handed frame of the principal axes of clouds.

    The eigenvectors of a cloud's covariance, of its horizontal part alone for ``z``, are known but
    for their signs; all choices are given, in an order that means nothing. For a rotation R of
    ``group``, the frames of R x are R times those of x, provided the eigenvalues are distinct:
    where two are equal, as of a round table, the axes between them are arbitrary. No gradient
    passes through them.

    Args:
        points: (B, N, 3), at least one point.
        group: the rotations that the frames follow.

    Returns:
        (B, F, 3, 3) rotation matrices, axes in columns, so that ``points @ frame`` are coordinates
        in it; F is 2 for ``z`` (the third axis the vertical) and 4 for ``so3``. In the dtype of
        ``points``.

    Raises:
        ValueError: another shape, or points that are not finite or whose squares overflow.
    """
    if points.dim() != 3 or points.shape[2] != 3 or points.shape[1] == 0:
        raise ValueError(f"clouds must be (B, N, 3) with N >= 1, not {tuple(points.shape)}")
    with torch.autocast(points.device.type, enabled=False):
        # In float64, so that near-equal axes are told apart alike however the cloud is rotated;
        # Apple's GPUs have none.
        device = torch.device("cpu") if points.device.type == "mps" else points.device
        precise = points.detach().to(device, torch.float64)
        centered = precise - precise.mean(dim=1, keepdim=True)
        if group == "z":
            centered = centered[..., :2]
        axes = _eigenvectors(centered.transpose(1, 2) @ centered)
        if group == "z":
            vertical = axes.new_tensor([[0.0], [0.0], [1.0]]).expand(points.shape[0], 3, 1)
            axes = torch.cat([F.pad(axes, (0, 0, 0, 1)), vertical], dim=2)
        handedness = torch.linalg.det(axes).sign()[:, None, None]
        frame = torch.cat([axes[:, :, :1] * handedness, axes[:, :, 1:]], dim=2)
        signs = torch.tensor(_SIGNS[group], dtype=axes.dtype, device=axes.device)
        return (frame.unsqueeze(1) * signs[None, :, None, :]).to(points)


def _eigenvectors(covariances: Tensor) -> Tensor:
    """In columns, by rising eigenvalue, of (B, D, D)."""
    refusal = "principal frames need clouds of finite points, whose squares do not overflow"
    to_look_at = covariances.device.type == "cpu" and not is_transformed()
    if to_look_at and not covariances.isfinite().all():
        raise ValueError(refusal)
    try:
        vectors: Tensor = torch.linalg.eigh(covariances).eigenvectors
    except RuntimeError as error:  # elsewhere it is found out here, on the way
        raise ValueError(refusal) from error
    return vectors
