"""Rotation averaging: the mean of what an encoder makes of a shape's rotated copies.

An encoder that was only asked to forget rotations still remembers a little of them. The mean of its
features over the rotations of a finite group forgets those of the group exactly, whatever the
encoder, and others as far as features change smoothly between them (group averaging, or
symmetrisation). Of posterior means it is the mean of the posterior aggregated over the group. It
costs as many passes as the group has rotations, for every shape that is encoded, and an encoder
never trained gains by it too: so both are scored.
"""

import re
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pc_crvae.embedding.names import Encode, Representations
from pc_crvae.errors import UserError

_NAMES = r"^(C[1-9][0-9]{0,2}|T|O|I)$"
RotationGroup = Annotated[str, Field(pattern=_NAMES)]
"""A finite group of rotations about the origin.

``Cn``: n even turns about the vertical, n at most 999; ``T``, ``O`` or ``I``: the 12, 24 or 60
rotations of the tetrahedron, the cube (its axes the coordinates') or the icosahedron.
"""


def averaged(encode: Encode, group: RotationGroup) -> Encode:
    """Encode clouds by the mean of their features over a group of rotations.

    Args:
        encode: clouds (n, N, 3) to features by name, each (n, d).
        group: the group's name, as `RotationGroup` has it.

    Returns:
        What encodes so, in float32; for any rotation r of the group and clouds x, r x is encoded
        as x is, but for rounding.
    """
    rotations = rotations_of(group).astype(np.float32)

    def encode_average(clouds: NDArray[np.float32]) -> Representations:
        sums: Representations = {}
        for rotation in rotations:
            for name, features in encode(clouds @ rotation.T).items():  # rows p^T R^T = (R p)^T
                sums[name] = sums.get(name, np.float64(0)) + features.astype(np.float64)
        return {name: (total / len(rotations)).astype(np.float32) for name, total in sums.items()}

    return encode_average


def check_group(name: str, where: str) -> RotationGroup:
    """Return the name of a group as it is.

    Raises:
        UserError: it is none; ``where`` names the option it came from.
    """
    if re.fullmatch(_NAMES, name) is None:
        raise UserError(
            f"{where} {name} is no group of rotations: give C and a number up to 999, such as C12, "
            "for even turns about the vertical, or T, O or I"
        )
    return name


def rotations_of(group: RotationGroup) -> NDArray[np.float64]:
    """The rotation matrices (n, 3, 3) of a group."""
    from scipy.spatial.transform import Rotation

    matrices: NDArray[np.float64] = Rotation.create_group(group, axis="Z").as_matrix()
    return matrices
