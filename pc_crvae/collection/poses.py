"""Where a shape is laid: its size, its turn and its place."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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

    def undo(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map points (n, 3) back."""
        return (points - self.shift) @ self.rotation / self.scale
