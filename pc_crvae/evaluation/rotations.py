"""Clouds under the settings of an evaluation: as they are, or rotated at random."""

import numpy as np
import torch
from numpy.typing import NDArray

from pc_crvae.geometry import rotate, rotation_about_z, rotation_from_quaternion
from pc_crvae.randomness.draws import keyed_generator
from pc_crvae.randomness.keys import Key


def rotated(points: NDArray[np.float32], how: str, *key: Key) -> NDArray[np.float32]:
    """Rotate each cloud of (n, P, 3) by its own rotation.

    Args:
        points: the clouds.
        how: ``aligned``, not at all; ``z``, about the vertical; ``so3``, by any rotation.
        key: the key that fixes the rotations.
    """
    if how == "aligned":
        return points
    generator = keyed_generator(*key)
    if how == "z":
        shares = torch.rand(len(points), generator=generator, dtype=torch.float64)
        rotations = rotation_about_z(2 * torch.pi * shares)
    else:
        quaternions = torch.randn(len(points), 4, generator=generator, dtype=torch.float64)
        rotations = rotation_from_quaternion(quaternions)
    return rotate(torch.from_numpy(points), rotations).numpy()
