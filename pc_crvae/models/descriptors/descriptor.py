"""Descriptors as a user holds them: embedding, saving, loading, without any training."""

from typing import Annotated, Any, Literal, NoReturn, cast

import pydantic
import torch
from torch import Tensor, nn

from pc_crvae.errors import UserError
from pc_crvae.geometry.frames import RotationGroup
from pc_crvae.latents.posteriors import LatentPath, PointMass
from pc_crvae.models.descriptors.bps import BasisPointSet
from pc_crvae.models.descriptors.octant_statistics import OctantStatistics
from pc_crvae.models.points.encoder import PointEncoder
from pc_crvae.models.points.frame_average import FrameAveraged
from pc_crvae.models.points.model import PointModel
from pc_crvae.models.pretrained import Description

Kind = Literal["octants", "bps", "bps+octants"]
"""Octant statistics, a basis point set, or the features of both side by side."""

_PARTS = {"bps": BasisPointSet, "octants": OctantStatistics}


class _Description(Description):
    kind: Kind
    frames: RotationGroup | None
    points: Annotated[int, pydantic.Field(ge=1)]


class Descriptor(PointModel):
    """Hand-made features of clouds, of which nothing is trained.

    One core of a shared x86 server describes 220 clouds of 1,024 points a second by octant
    statistics, and 4,900 by a basis point set. Frames cost 2 passes for rotations about the
    vertical, 4 for any.

    Args:
        kind: the features.
        frames: the rotations that are not to matter, by frame averaging; None: all matter.
        points: the points drawn of each cloud that it is fitted to.
        data: what it was fitted to, carried along in exports: name, up axis.
    """

    Description = _Description
    made = "Its features are made by hand, and nothing of it is trained."
    decodes = False

    def __init__(
        self,
        kind: Kind,
        *,
        frames: RotationGroup | None = None,
        points: int = 1024,
        data: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.frames = frames
        self.points = points
        self.data = data or {}
        # It has no features of points, for which nothing asks.
        encoder = cast(PointEncoder, _SideBySide([_PARTS[part]() for part in kind.split("+")]))
        self.latent_dim = encoder.out_features
        self.encoder = encoder if frames is None else FrameAveraged(encoder, frames)

    @torch.no_grad()
    def fit(self, clouds: Tensor) -> None:
        """Fit the whitening of octant means, where there are any, to clouds without labels.

        Args:
            clouds: (B, N, 3), prepared as in training, of the training split alone.
        """
        seen = clouds
        if isinstance(self.encoder, FrameAveraged):
            seen = self.encoder.framed(clouds).flatten(end_dim=1)
        for part in self.modules():
            if isinstance(part, OctantStatistics):
                part.fit(seen)

    def posterior(self, x: Tensor) -> PointMass:
        """The features of clouds (B, N, 3), as a code (B, D)."""
        return PointMass(self.encoder(x))

    def likelihood(self, path: LatentPath) -> NoReturn:
        """Refused.

        Raises:
            UserError: always.
        """
        raise UserError("a descriptor encodes and does not decode")

    def prior(self) -> NoReturn:
        """Refused.

        Raises:
            UserError: always.
        """
        raise UserError("a descriptor encodes and does not decode: it has no prior")

    def parts(self) -> dict[str, Any]:
        """The kind, the frames and the number of features."""
        return {"kind": self.kind, "frames": self.frames, "features": self.latent_dim}


class _SideBySide(nn.Module):
    """The features of several descriptions of a cloud, each of length 1, one after the other.

    The cosine of two clouds' features is then the mean of the descriptions' cosines, whatever the
    size of their numbers. A single description stays as it is.

    Args:
        parts: each (B, N, 3) to (B, out_features).
    """

    def __init__(self, parts: list[BasisPointSet | OctantStatistics]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.out_features = sum(part.out_features for part in parts)

    def forward(self, clouds: Tensor) -> Tensor:
        """Describe clouds (B, N, 3): (B, out_features)."""
        found: list[Tensor] = [part(clouds) for part in self.parts]
        if len(found) == 1:
            return found[0]
        return torch.cat([nn.functional.normalize(features) for features in found], dim=1)
