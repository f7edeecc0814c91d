"""Rotations of clouds.

Convention, for everything here: right-handed axes, column vectors, p' = R p, angles in
radians and counter-clockwise for one who looks against the axis. Quaternions are
(w, x, y, z), real part first.
"""

import torch
from torch import Tensor

from pc_crvae.utils.differentiation import is_transformed


def rotation_about_z(angles: Tensor) -> Tensor:
    """Rotations about the z axis, which is up.

    Args:
        angles: (B,) in radians.

    Returns:
        (B, 3, 3), in the dtype of ``angles``; the identity exactly where an angle is 0.

    Raises:
        ValueError: a shape other than (B,).
    """
    if angles.dim() != 1:
        raise ValueError(f"angles must be (B,), not {tuple(angles.shape)}")
    sine, cosine = angles.sin(), angles.cos()
    zero, one = torch.zeros_like(angles), torch.ones_like(angles)
    entries = [
        cosine, -sine, zero,
        sine, cosine, zero,
        zero, zero, one,
    ]  # fmt: skip
    return torch.stack(entries, dim=1).reshape(-1, 3, 3)


def rotation_about_axis(axes: Tensor, angles: Tensor) -> Tensor:
    """Rotations about given axes, by Rodrigues' formula.

    R = cos(a) I + sin(a) [u]_x + (1 - cos(a)) u u^T for the unit axis u.

    Args:
        axes: (B, 3), normalised here; of a length that has a direction, 1e-12 to 1e18 in float32.
        angles: (B,) in radians.

    Returns:
        (B, 3, 3), in the dtype of ``axes``; the identity exactly where an angle is 0. On an
        accelerator, NaN for an axis without direction.

    Raises:
        ValueError: shapes other than those above, or, on the CPU, an axis without direction.
    """
    if axes.shape != (*angles.shape, 3) or angles.dim() != 1:
        raise ValueError(
            "axes must be (B, 3) and angles (B,), not "
            f"{tuple(axes.shape)} and {tuple(angles.shape)}"
        )
    axes = _directions(axes, "axes of rotation")
    x, y, z = axes.unbind(dim=1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).reshape(-1, 3, 3)
    sine, cosine = angles.sin()[:, None, None], angles.cos()[:, None, None]
    identity = torch.eye(3, dtype=axes.dtype, device=axes.device)
    outer = axes[:, :, None] * axes[:, None, :]
    return cosine * identity + sine * cross + (1 - cosine) * outer


def rotation_from_quaternion(quaternions: Tensor) -> Tensor:
    """Rotations of unit quaternions.

    Standard normal 4-vectors give rotations uniform on SO(3) (Haar measure), since their
    directions are uniform on the 3-sphere.

    Args:
        quaternions: (B, 4) as (w, x, y, z), normalised here; of a length as axes have.

    Returns:
        (B, 3, 3), in the dtype of ``quaternions``. On an accelerator, NaN for a quaternion without
        direction.

    Raises:
        ValueError: a shape other than (B, 4), or, on the CPU, a quaternion without direction.
    """
    if quaternions.dim() != 2 or quaternions.shape[1] != 4:
        raise ValueError(f"quaternions must be (B, 4), not {tuple(quaternions.shape)}")
    w, x, y, z = _directions(quaternions, "quaternions").unbind(dim=1)
    entries = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(entries, dim=1).reshape(-1, 3, 3)


def rotate(points: Tensor, rotations: Tensor) -> Tensor:
    """Rotate each cloud by its own rotation: p' = R p.

    Args:
        points: (B, N, 3).
        rotations: (B, 3, 3), on the same device; taken to the dtype of ``points``.

    Returns:
        (B, N, 3).

    Raises:
        ValueError: shapes other than those above.
    """
    if points.dim() != 3 or rotations.shape != (len(points), 3, 3) or points.shape[2] != 3:
        raise ValueError(
            "points must be (B, N, 3) and rotations (B, 3, 3), not "
            f"{tuple(points.shape)} and {tuple(rotations.shape)}"
        )
    with torch.autocast(points.device.type, enabled=False):
        return points @ rotations.to(points.dtype).transpose(1, 2)  # rows p^T R^T = (R p)^T


def _directions(vectors: Tensor, name: str) -> Tensor:
    """``vectors`` (B, D) at unit length.

    Those that are zero, not finite, or so short or long that they do not come out at unit length
    are refused on the CPU. Elsewhere, where looking would stall the queue at every training step,
    they become NaN, which no loss survives unseen.
    """
    unit = torch.nn.functional.normalize(vectors, dim=1)
    has_direction = (unit.square().sum(dim=1, keepdim=True) - 1).abs() < 1e-2
    if vectors.device.type == "cpu" and not is_transformed() and not has_direction.all():
        row = int((~has_direction).nonzero()[0, 0])
        raise ValueError(
            f"{name} need a direction, and number {row} is {vectors[row].tolist()}: give vectors "
            "of moderate length"
        )
    return torch.where(has_direction, unit, torch.nan)
