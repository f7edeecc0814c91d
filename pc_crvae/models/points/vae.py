"""The point-cloud model as a user holds it: embed, reconstruct, sample, interpolate, save."""

from functools import partial
from typing import Annotated, Any, Literal, cast

import pydantic
from torch import Tensor, nn

from pc_crvae.config import ModelPart, PointModelConfig
from pc_crvae.geometry import RotationGroup
from pc_crvae.likelihoods import ChamferLikelihood
from pc_crvae.models.points.encoder import PointEncoder
from pc_crvae.models.points.frame_average import FrameAveraged
from pc_crvae.models.points.model import Cloud, PointModel, is_batch
from pc_crvae.models.pretrained import Description
from pc_crvae.models.pretrained_vae import PretrainedVAE
from pc_crvae.models.registry import POINT_DECODERS, POINT_ENCODERS


class _Description(Description):
    architecture: PointModelConfig
    posterior: Literal["gaussian", "code"]
    points: Annotated[int, pydantic.Field(ge=1)]


class PointVAE(PointModel, PretrainedVAE):
    """A VAE (or plain auto-encoder) of point clouds.

    Args:
        architecture: encoder, head, latent size, decoder and likelihood.
        posterior: ``gaussian``, or ``code`` for a plain auto-encoder.
        points: the point count the model is trained with.
        data: what it was trained on, carried along in exports: name, up axis.
    """

    Description = _Description
    architecture: PointModelConfig

    def __init__(
        self,
        architecture: PointModelConfig,
        *,
        posterior: Literal["gaussian", "code"] = "gaussian",
        points: int = 1024,
        data: dict[str, Any] | None = None,
    ) -> None:
        encoding, decoding = architecture.encoder, architecture.decoder
        encoder: PointEncoder = POINT_ENCODERS[encoding.name](**encoding.arguments())
        if architecture.frames is not None:
            encoder = FrameAveraged(encoder, architecture.frames)
        super().__init__(
            architecture,
            posterior,
            data,
            encoder=encoder,
            make_decoder=partial(POINT_DECODERS[decoding.name], **decoding.arguments()),
            make_likelihood=partial(ChamferLikelihood, **architecture.likelihood.arguments()),
        )
        self.points = points

    def learnt_part(self, name: ModelPart) -> nn.Module:
        """The module with the weights of a part; of an encoder within frames, that encoder."""
        part = super().learnt_part(name)
        return cast(nn.Module, part.encoder) if isinstance(part, FrameAveraged) else part

    @property
    def frames(self) -> RotationGroup | None:
        """The rotations that do not matter to the model, by frame averaging; None: all matter."""
        return self.architecture.frames

    @property
    def vector_size(self) -> int:
        """The size of the vector that a cloud is embedded as."""
        of_head = self.architecture.embedding == "mean"
        return self.latent_dim if of_head else cast(PointEncoder, self.encoder).out_features

    def vectors(self, clouds: Tensor) -> Tensor:
        """What `embed` gives of clouds (B, N, 3) prepared as in training: (B, D) on the CPU.

        It is the posterior mean or the features before the head, as ``model.embedding`` says.
        """
        of_head = self.architecture.embedding == "mean"
        return self.encode(clouds) if of_head else self.in_parts(clouds, self.features)

    def latents(self, x: Cloud) -> Tensor:
        """The posterior mean of clouds in any position and size, as `embed` takes them."""
        clouds, _, _ = self._prepare(x)
        means = self.encode(clouds)
        return means if is_batch(x) else means[0]

    def reconstruct(self, points: Cloud) -> Tensor:
        """Encode to the posterior mean and decode, in the position and size of the input.

        A model that is rotation-invariant (``frames``), or learnt to be by the original as target,
        gives a rotated shape back as its training shapes face.

        Args:
            points: (N, 3) or (B, N, 3), z up.

        Returns:
            (M, 3) or (B, M, 3) float64 on the CPU, which holds a position far from the origin.
        """
        clouds, centers, radii = self._prepare(points)
        decoded = self.decode(self.encode(clouds)).double() * radii + centers
        return decoded if is_batch(points) else decoded[0]
