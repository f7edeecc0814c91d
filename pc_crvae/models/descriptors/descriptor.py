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
from pc_crvae.models.pretrained import ENCODED_AT_ONCE
from pc_crvae.models.vae import encode_parts

Kind = Literal["octants", "bps", "bps+octants"]
"""Octant statistics, a basis point set, or the features of both side by side."""

_PARTS = {"bps": BasisPointSet, "octants": OctantStatistics}
_LEAST_SPREAD = 1e-6  # below it a feature's spread is rounding


class _Description(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)

    kind: Kind
    frames: RotationGroup | None
    points: Annotated[int, pydantic.Field(ge=1)]
    data: dict[str, Any]


class Descriptor(PointModel):
    """Hand-made features of clouds, which are standardised and of which nothing is trained.

    One core of a shared x86 server describes 240 clouds of 1,024 points a second by octant
    statistics, and 4,800 by a basis point set. Frames cost 2 passes for rotations about the
    vertical, 4 for any.

    Args:
        kind: which features.
        frames: the rotations that are not to matter, by frame averaging; None: all matter.
        points: the points drawn of each cloud that it is fitted to.
        data: what it was fitted to, carried along in exports: name, up axis.
    """

    Description = _Description
    center: Tensor
    spread: Tensor

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
        self.register_buffer("center", torch.zeros(self.latent_dim))
        self.register_buffer("spread", torch.ones(self.latent_dim))

    @torch.no_grad()
    def fit(self, clouds: Tensor) -> None:
        """Fit the whitening and the features' means and spreads to clouds, without labels.

        Args:
            clouds: (B, N, 3), prepared as in training, of the training split alone.
        """
        seen = clouds
        if isinstance(self.encoder, FrameAveraged):
            seen = self.encoder.framed(clouds).flatten(end_dim=1)
        for part in self.modules():
            if isinstance(part, OctantStatistics):
                part.fit(seen)
        parts = torch.split(clouds, ENCODED_AT_ONCE)
        found = encode_parts(self, parts, lambda part: {"features": self.encoder(part)})["features"]
        spread = found.std(dim=0, correction=0)
        self.center.copy_(found.mean(dim=0))
        self.spread.copy_(torch.where(spread > _LEAST_SPREAD, spread, 1))

    def posterior(self, x: Tensor) -> PointMass:
        """The standardised features of clouds (B, N, 3), as a code (B, D)."""
        return PointMass((self.encoder(x) - self.center) / self.spread)

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

    def description(self) -> dict[str, Any]:
        """What makes the descriptor again, and what it takes."""
        return {
            "kind": self.kind,
            "frames": self.frames,
            "points": self.points,
            "input": {"up": "z", "normalization": "mean at 0, largest radius 1"},
            "data": self.data,
        }

    def parts(self) -> dict[str, Any]:
        """The kind, the frames and the number of features."""
        return {"kind": self.kind, "frames": self.frames, "features": self.latent_dim}


class _SideBySide(nn.Module):
    """The features of several descriptions of a cloud, one after the other.

    Args:
        parts: each (B, N, 3) to (B, out_features).
    """

    def __init__(self, parts: list[BasisPointSet | OctantStatistics]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.out_features = sum(part.out_features for part in parts)

    def forward(self, clouds: Tensor) -> Tensor:
        """Describe clouds (B, N, 3): (B, out_features)."""
        return torch.cat([part(clouds) for part in self.parts], dim=1)
