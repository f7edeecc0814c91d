"""Random maps of batches of point clouds.

Each is the identity at zero strength, keeps device and dtype, and draws only from the
``Draws`` it is handed, as many numbers whatever its strength. Its repr is the expression
that makes it.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pc_crvae.geometry import (
    gather_points,
    rotate,
    rotation_about_axis,
    rotation_about_z,
    rotation_from_quaternion,
)
from pc_crvae.randomness.draws import Draws


class Transform(ABC):
    """A random map of clouds (B, N, 3) to clouds (B, N', 3), one draw per cloud."""

    def __call__(self, points: Tensor, draws: Draws) -> Tensor:
        """Transform each cloud by its own draw.

        Args:
            points: (B, N, 3), the clouds at the rows of the global batch that ``draws`` holds.
            draws: the source of all randomness.

        Returns:
            (B, N', 3), in the dtype and on the device of ``points``.

        Raises:
            ValueError: points that are not (B, N, 3) with N >= 1, or not one cloud per row.
        """
        if points.dim() != 3 or points.shape[1] == 0 or points.shape[2] != 3:
            raise ValueError(f"points must be (B, N, 3), not {tuple(points.shape)}")
        rows = draws.rows
        held = len(range(draws.batch_size)[rows]) if isinstance(rows, slice) else len(rows)
        if len(points) != held:
            raise ValueError(f"got {len(points)} clouds and draws for {held}")
        return self._transform(points, draws)

    @abstractmethod
    def _transform(self, points: Tensor, draws: Draws) -> Tensor:
        """Transform checked points."""


@dataclass(frozen=True)
class RotateZ(Transform):
    """Rotate about the up axis by an angle uniform on [-max_degrees, max_degrees]."""

    max_degrees: float = 180

    def __post_init__(self) -> None:
        _require(0 <= self.max_degrees <= 180, self, "0 <= max_degrees <= 180")

    def _transform(self, points: Tensor, draws: Draws) -> Tensor:
        angles = _angles(self.max_degrees, draws).to(points)
        return rotate(points, rotation_about_z(angles))


@dataclass(frozen=True)
class RotateAboutRandomAxis(Transform):
    """Rotate about an axis uniform on the sphere, by [-max_degrees, max_degrees] uniformly."""

    max_degrees: float

    def __post_init__(self) -> None:
        _require(0 <= self.max_degrees <= 180, self, "0 <= max_degrees <= 180")

    def _transform(self, points: Tensor, draws: Draws) -> Tensor:
        axes = draws.normal(3).to(points)
        angles = _angles(self.max_degrees, draws).to(points)
        return rotate(points, rotation_about_axis(axes, angles))


@dataclass(frozen=True)
class RotateSO3(Transform):
    """Rotate a cloud, with the given probability, by a rotation uniform on SO(3) (Haar)."""

    probability: float = 1.0

    def __post_init__(self) -> None:
        _require(0 <= self.probability <= 1, self, "0 <= probability <= 1")

    def _transform(self, points: Tensor, draws: Draws) -> Tensor:
        quaternions = draws.normal(4).to(points)
        chosen = (draws.uniform() < self.probability).to(points.device)  # (B,)
        rotated = rotate(points, rotation_from_quaternion(quaternions))
        return torch.where(chosen[:, None, None], rotated, points)


@dataclass(frozen=True)
class Jitter(Transform):
    """Move each coordinate by normal noise of deviation sigma, clipped to [-clip, clip]."""

    sigma: float = 0.01
    clip: float = 0.05

    def __post_init__(self) -> None:
        _require(self.sigma >= 0 and self.clip >= 0, self, "sigma >= 0 and clip >= 0")

    def _transform(self, points: Tensor, draws: Draws) -> Tensor:
        noise = self.sigma * draws.normal(*points.shape[1:])
        return points + noise.clamp(-self.clip, self.clip).to(points)


@dataclass(frozen=True)
class Subsample(Transform):
    """Keep random points of each cloud, in their order: one count for the whole batch.

    The fraction kept is uniform on [min_fraction, max_fraction); at least one point stays.
    """

    min_fraction: float = 0.5
    max_fraction: float = 1.0

    def __post_init__(self) -> None:
        ordered = 0 < self.min_fraction <= self.max_fraction <= 1
        _require(ordered, self, "0 < min_fraction <= max_fraction <= 1")

    def _transform(self, points: Tensor, draws: Draws) -> Tensor:
        n_points = points.shape[1]
        fraction = draws.batch_uniform(self.min_fraction, self.max_fraction)
        count = max(1, round(fraction * n_points))
        order = draws.uniform(n_points).argsort(dim=1, stable=True)  # a random permutation
        return _keep(points, order[:, :count].to(points.device))


@dataclass(frozen=True)
class DropLocalRegion(Transform):
    """Drop the points nearest to a random point of each cloud: one count for the whole batch.

    The fraction dropped is uniform on [0, max_fraction); the others keep their order.
    """

    max_fraction: float = 0.25

    def __post_init__(self) -> None:
        _require(0 <= self.max_fraction < 1, self, "0 <= max_fraction < 1")

    def _transform(self, points: Tensor, draws: Draws) -> Tensor:
        n_points = points.shape[1]
        dropped = math.floor(draws.batch_uniform(0.0, self.max_fraction) * n_points)
        # float32 may round the product up to n_points.
        centers = (draws.uniform(1) * n_points).long().clamp(max=n_points - 1)
        center = gather_points(points, centers.to(points.device))  # (B, 1, 3)
        nearest_first = (points - center).square().sum(dim=2).argsort(dim=1, stable=True)
        return _keep(points, nearest_first[:, dropped:])


@dataclass(frozen=True)
class ScaleAnisotropic(Transform):
    """Scale each axis of a cloud by its own factor, uniform on [low, high)."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _require(0 < self.low <= self.high, self, "0 < low <= high")

    def _transform(self, points: Tensor, draws: Draws) -> Tensor:
        factors = draws.uniform(1, 3, low=self.low, high=self.high)
        return points * factors.to(points)


@dataclass(frozen=True)
class Translate(Transform):
    """Move a cloud along each axis by an offset uniform on [-max_offset, max_offset)."""

    max_offset: float

    def __post_init__(self) -> None:
        _require(self.max_offset >= 0, self, "max_offset >= 0")

    def _transform(self, points: Tensor, draws: Draws) -> Tensor:
        offsets = draws.uniform(1, 3, low=-self.max_offset, high=self.max_offset)
        return points + offsets.to(points)


@dataclass(frozen=True)
class Compose(Transform):
    """Apply transforms one after another; none is the identity."""

    transforms: Sequence[Transform]

    def _transform(self, points: Tensor, draws: Draws) -> Tensor:
        for transform in self.transforms:
            points = transform(points, draws)
        return points


TRANSFORMS: dict[str, type[Transform]] = {
    "rotate_z": RotateZ,
    "rotate_about_random_axis": RotateAboutRandomAxis,
    "rotate_so3": RotateSO3,
    "jitter": Jitter,
    "subsample": Subsample,
    "drop_local_region": DropLocalRegion,
    "scale_anisotropic": ScaleAnisotropic,
    "translate": Translate,
}
"""By the names that configurations give them."""


def _require(holds: bool, transform: Transform, bounds: str) -> None:
    if not holds:
        raise ValueError(f"{transform!r} is out of bounds: {bounds}")


def _angles(max_degrees: float, draws: Draws) -> Tensor:
    """Uniform angles in radians: (B,)."""
    bound = math.radians(max_degrees)
    return draws.uniform(low=-bound, high=bound)


def _keep(points: Tensor, indices: Tensor) -> Tensor:
    """The points at (B, n) distinct indices, in the cloud's own order."""
    return gather_points(points, indices.sort(dim=1).values)
