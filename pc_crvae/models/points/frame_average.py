"""An encoder of clouds made rotation-invariant: averaged over a cloud's own frames."""

import torch
from torch import Tensor, nn

from pc_crvae.geometry.frames import FRAMES, RotationGroup, axis_signs, principal_frames
from pc_crvae.models.checks import check_clouds
from pc_crvae.models.points.encoder import MirroringEncoder, PointEncoder, Pooling


class FrameAveraged(nn.Module):
    """Frame averaging (Puny et al. 2022, arXiv 2110.03336) around any encoder.

    A cloud is encoded once in each of its principal frames (`principal_frames`), and the mean of
    the features is taken: rotating the cloud rotates its frames along, and nothing changes. Unlike
    a penalty it holds untrained and for shapes never seen, and unlike pooling invariant
    measurements it hides nothing else. It costs 2 passes for rotations about the vertical, 4 for
    any.

    Where two principal axes spread alike, frames jump with the points that were drawn, which
    consistency with subsampled and jittered views has to repair; where they spread exactly alike,
    as in the corners of a cube, they do not follow rotations.

    Args:
        encoder: (B, N, 3) to (B, out_features).
        group: the rotations that are not to matter.
    """

    def __init__(self, encoder: PointEncoder, group: RotationGroup) -> None:
        super().__init__()
        self.encoder = encoder
        self.group = group
        self.out_features = encoder.out_features

    def forward(self, points: Tensor) -> Tensor:
        """Encode ``points`` (B, N, 3) to (B, out_features), however they are rotated.

        Raises:
            ValueError: ``points`` has another shape, or too few points for the encoder.
        """
        framed = self.framed(points)
        if isinstance(self.encoder, MirroringEncoder):
            signs = axis_signs(self.group).to(points.device)
            return self._mean_over_frames(self.encoder.forward_mirrored(framed[:, 0], signs))
        return self._mean_over_frames(self.encoder(framed.flatten(end_dim=1)))

    def forward_features(self, points: Tensor) -> Tensor:
        """The features (B, K N, F) of each point in each of a cloud's K frames, one by one.

        Raises:
            ValueError: ``points`` has another shape, or too few points for the encoder.
        """
        framed = self.framed(points)
        features = self.encoder.forward_features(framed.flatten(end_dim=1))
        return features.reshape(points.shape[0], -1, features.shape[-1])

    def pool(self, features: Tensor, pooling: Pooling) -> Tensor:
        """Pool what `forward_features` gave within each frame, and take the mean over them."""
        batch, rows, width = features.shape
        frames = FRAMES[self.group]
        by_frame = features.reshape(batch * frames, rows // frames, width)
        return self._mean_over_frames(self.encoder.pool(by_frame, pooling))

    def framed(self, points: Tensor) -> Tensor:
        """Clouds (B, N, 3) in each of their K frames, (B, K, N, 3)."""
        check_clouds(points)
        frames = principal_frames(points, self.group)
        with torch.autocast(points.device.type, enabled=False):
            return points.unsqueeze(1) @ frames

    def _mean_over_frames(self, pooled: Tensor) -> Tensor:
        return pooled.reshape(-1, FRAMES[self.group], pooled.shape[-1]).mean(dim=1)
