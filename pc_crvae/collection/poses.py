"""Where a shape is laid: its size, its turn and its place."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation


@dataclass(frozen=True)
class Pose:
    """Where a shape is laid: ``scale * rotation @ x + shift``, in the bodies' own units.

    Attributes:
        scale: above 0.
        rotation: (3, 3), orthogonal; its determinant is -1 where it mirrors.
        shift: (3,).
    """

    scale: float
    rotation: NDArray[np.float64]
    shift: NDArray[np.float64]

    def apply(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map points (n, 3)."""
        return self.scale * points @ self.rotation.T + self.shift

    def moved(self, step: NDArray[np.floating]) -> Self:
        """Return the pose turned by the first three of a step (7,), grown by the last, shifted."""
        turn, grown = Rotation.from_rotvec(step[:3]).as_matrix(), 1 + step[6]
        shift = grown * (turn @ self.shift) + step[3:6]
        return type(self)(self.scale * grown, turn @ self.rotation, shift)

    def undo(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map points (n, 3) back."""
        return (points - self.shift) @ self.rotation / self.scale
