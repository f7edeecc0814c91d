"""An encoder of clouds made blind to turns: its features averaged over a cloud's own frames."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pc_crvae.geometry.frames import Turns, principal_frames
from pc_crvae.models.points.checks import check_clouds


class FrameAveraged(nn.Module):
    """Frame averaging (Puny et al. 2022, arXiv 2110.03336) around any encoder.

    A cloud is encoded once in each of its principal frames (`principal_frames`), and the mean of
    the features is taken: turning the cloud turns its frames along, and nothing changes. Unlike a
    penalty it holds untrained and for shapes never seen, and unlike pooling invariant measurements
    it hides nothing else. It costs 2 passes for turns about the vertical, 4 for any.

    Where two principal axes spread alike, frames jump with the points that were drawn, which is
    left for consistency with subsampled and jittered views to mend; where they spread exactly
    alike, as the corners of a cube, they do not follow turns.

    Args:
        encoder: (B, N, 3) to (B, out_features).
        turns: what is not to matter.
    """

    def __init__(self, encoder: nn.Module, turns: Turns) -> None:
        super().__init__()
        self.encoder = encoder
        self.turns = turns
        self.out_features = int(encoder.out_features)  # type: ignore[arg-type]

    def forward(self, points: Tensor) -> Tensor:
        """Encode ``points`` (B, N, 3) to (B, out_features), however they are turned.

        Raises:
            ValueError: ``points`` has another shape, or too few points for the encoder.
        """
        return self.over_frames(points, self.encoder)

    def over_frames(self, points: Tensor, encode: Callable[[Tensor], Tensor]) -> Tensor:
        """The mean over each cloud's frames of ``encode``, of clouds in them to (..., C)."""
        check_clouds(points)
        frames = principal_frames(points, self.turns)
        with torch.autocast(points.device.type, enabled=False):
            framed = points.unsqueeze(1) @ frames  # (B, F, N, 3)
        features = encode(framed.flatten(end_dim=1))
        return features.reshape(*frames.shape[:2], features.shape[-1]).mean(dim=1)
