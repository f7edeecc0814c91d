"""Features averaged over turned copies of each shape: what an encoder sees from all sides.

An encoder that was only asked to forget turns still remembers a little of them. The mean of its
features over the rotations of a finite group forgets those of the group exactly, whatever the
encoder, and others nearly (group averaging, or symmetrisation). Of posterior means it is the mean
of the posterior aggregated over the turns. It costs as many passes as the group has rotations, for
every shape that is encoded, and an encoder never trained gains by it too: so both are scored.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pc_crvae.evaluation.probe import Encode
from pc_crvae.geometry.rotations import rotate


def averaged(encode: Encode, group: str) -> Encode:
    """Encode clouds by the mean of their features over a group of rotations.

    Args:
        encode: clouds (n, N, 3) to features, each (n, d).
        group: ``Cn``, n even turns about the vertical; ``T``, ``O`` or ``I``, the 12, 24 or 60
            rotations of the tetrahedron, the cube (axes along the coordinates') and the
            icosahedron.

    Returns:
        What encodes so; for any rotation r of the group and clouds x, r x is encoded as x is, but
        for rounding.
    """
    rotations = torch.from_numpy(rotations_of(group))

    def encode_average(clouds: NDArray[np.float32]) -> dict[str, NDArray[np.floating]]:
        points = torch.from_numpy(clouds)
        sums: dict[str, NDArray[np.floating]] = {}
        for rotation in rotations:
            turned = rotate(points, rotation.expand(len(points), 3, 3)).numpy()
            for name, features in encode(turned).items():
                sums[name] = sums.get(name, np.float64(0)) + features.astype(np.float64)
        return {name: (total / len(rotations)).astype(np.float32) for name, total in sums.items()}

    return encode_average


def rotations_of(group: str) -> NDArray[np.float64]:
    """The rotation matrices (n, 3, 3) of a finite group, named as for `averaged`."""
    matrices: NDArray[np.float64] = Rotation.create_group(group, axis="Z").as_matrix()
    return matrices
