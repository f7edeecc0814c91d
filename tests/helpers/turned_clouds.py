"""Clouds with principal axes that are told apart, and rotations to turn them by."""

import torch

from pc_crvae.geometry import rotate, rotation_about_z, rotation_from_quaternion

SPREAD = torch.tensor([1.0, 0.7, 0.4], dtype=torch.float64)


def clouds(seed, count=40):
    """Clouds whose axes spread apart, however they lie."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(3, count, 3, generator=generator, dtype=torch.float64)
    points = points - points.mean(dim=1, keepdim=True)
    _, axes = torch.linalg.eigh(points.transpose(1, 2) @ points)
    whitened = points @ axes / (points @ axes).std(dim=1, keepdim=True)
    quaternions = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    return rotate(whitened * SPREAD + 0.3, rotation_from_quaternion(quaternions))


def turns(how, seed):
    generator = torch.Generator().manual_seed(seed + 1)
    if how == "z":
        return rotation_about_z(7 * torch.rand(3, generator=generator, dtype=torch.float64))
    return rotation_from_quaternion(torch.randn(3, 4, generator=generator, dtype=torch.float64))
