"""The descriptors that a probed model of point clouds is compared with."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from pc_crvae.embedding.extraction import extract
from pc_crvae.embedding.names import Encode
from pc_crvae.geometry.frames import RotationGroup
from pc_crvae.models.descriptors.descriptor import Descriptor, Kind
from pc_crvae.models.points.frame_average import FrameAveraged
from pc_crvae.models.pretrained import Pretrained

KINDS: tuple[Kind, ...] = ("bps", "octants", "bps+octants")
"""The candidates: of equals the first, which is the cheapest, is taken."""


def frames_of(model: Pretrained) -> RotationGroup | None:
    """The rotations that do not matter to a model by frame averaging."""
    encoder = getattr(model, "encoder", None)
    return encoder.group if isinstance(encoder, FrameAveraged) else None


def descriptors_beside(
    model: Pretrained, clouds: NDArray[np.float32], wrap: Callable[[Encode], Encode]
) -> Mapping[str, Encode]:
    """Make each kind of descriptor in the frames of a model, so that it is as invariant.

    Args:
        model: the model of point clouds that is probed.
        clouds: (n, P, 3) of the training split, without labels; whitening is fitted to them.
        wrap: the change made to every encoder, such as averaging over rotations.

    Returns:
        Encoders by kind, whose features are called ``mean``.
    """
    frames = frames_of(model)

    def encoder(kind: Kind) -> Encode:
        descriptor = Descriptor(kind, frames=frames, points=clouds.shape[1]).eval()
        descriptor.fit(torch.from_numpy(clouds))
        return wrap(partial(extract, descriptor.to(model.device)))

    return {kind: encoder(kind) for kind in KINDS}
