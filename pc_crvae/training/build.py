"""From a configuration to the model and to what its training maximises."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, cast

from torch import Tensor

from pc_crvae.config import (
    Config,
    ConsistencyConfig,
    ImageTransformConfig,
    NVAEModelConfig,
    PointModelConfig,
)
from pc_crvae.config.images import is_binarized
from pc_crvae.data.images import ImageSet
from pc_crvae.data.items import ItemSet
from pc_crvae.errors import UserError
from pc_crvae.models.checks import ImageShape
from pc_crvae.models.images.build import onto_levels
from pc_crvae.models.images.nvae.model import NVAE
from pc_crvae.models.images.nvae.pretrained import PretrainedNVAE
from pc_crvae.models.images.vae import ImageVAE
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.models.pretrained import Pretrained
from pc_crvae.objectives.base import (
    AutoEncoding,
    LatentVariableModel,
    Objective,
    SinglePass,
    TrainingObjective,
)
from pc_crvae.objectives.binarization import DynamicBinarization
from pc_crvae.objectives.consistency import ConsistencyRegularized
from pc_crvae.objectives.elbo import ELBO, BalancedELBO
from pc_crvae.objectives.iwae import IWAE
from pc_crvae.objectives.regularization import Regularized
from pc_crvae.randomness.draws import Draws
from pc_crvae.shared_noise import SharedNoise
from pc_crvae.transforms import images, points

BatchTransform = Callable[[Tensor, Draws], Tensor]


def build_model(config: Config, image_shape: ImageShape | None = None) -> Pretrained:
    """The model, initialised from torch's global generator.

    Args:
        config: says which.
        image_shape: (C, H, W) of the images that a model of images is made for.

    Raises:
        UserError: layers that these images are too small for, or transforms that they have too few
            channels for.
        ValueError: a model of images without their shape.
    """
    data = {"name": config.data.name, "up": config.data.up}
    if isinstance(config.model, PointModelConfig):
        return PointVAE(
            config.model, posterior=_posterior(config), points=config.data.points, data=data
        )
    if image_shape is None:
        raise ValueError("a model of images is made for images of a shape")
    try:
        if config.consistency is not None:
            transforms = cast(Sequence[ImageTransformConfig], config.consistency.transforms)
            build_image_transform(transforms).require_channels(image_shape[0])
        if isinstance(config.model, NVAEModelConfig):
            return PretrainedNVAE(config.model, shape=image_shape, data=data)
        return ImageVAE(config.model, posterior=_posterior(config), shape=image_shape, data=data)
    except ValueError as error:
        raise UserError(
            f"the config does not go with the images of {config.data.name}: {error}"
        ) from None


def image_shape_of(config: Config, items: ItemSet) -> ImageShape | None:
    """The shape of the images of ``items``; None for clouds.

    Raises:
        UserError: the model of ``config`` is of the other modality.
    """
    of_points = isinstance(config.model, PointModelConfig)
    if isinstance(items, ImageSet) == of_points:
        raise UserError(
            f"{items.name} holds {items.holds}, and model.name {config.model.name} is a model of "
            f"{'points' if of_points else 'images'}: choose another data.name or model.name"
        )
    if not isinstance(items, ImageSet):
        return None
    _, channels, height, width = items.images.shape
    return channels, height, width


def build_objective(config: Config) -> Objective:
    """L, what one pass maximises."""
    chosen = config.objective
    objective: Objective
    if chosen.name == "autoencoder":
        objective = AutoEncoding()
    elif chosen.name == "iwae":
        objective = IWAE(chosen.samples, chosen.gradient)
    elif chosen.balanced_groups:
        objective = BalancedELBO(chosen.beta)
    else:
        objective = ELBO(beta=chosen.beta, free_bits=chosen.free_bits)
    if config.consistency is not None and config.consistency.shared_noise:
        return SharedNoise(objective)
    return objective


def build_transform(config: Config, consistency: ConsistencyConfig) -> BatchTransform:
    """t, the listed transforms one after the other, onto what the model's likelihood is of."""
    if not isinstance(config.model, PointModelConfig):
        transforms = cast(Sequence[ImageTransformConfig], consistency.transforms)
        return onto_levels(build_image_transform(transforms), config.model.likelihood)
    return points.Compose(
        [points.TRANSFORMS[listed.name](**listed.arguments()) for listed in consistency.transforms]
    )


def build_image_transform(transforms: Sequence[ImageTransformConfig]) -> images.ImageTransform:
    """The listed transforms of images one after the other."""
    return images.ComposeImages(
        [images.TRANSFORMS[listed.name](**listed.arguments()) for listed in transforms]
    )


def build_training_objective(config: Config, model: LatentVariableModel) -> TrainingObjective:
    """The one module whose forward is the whole of a training step's objective."""
    consistency = config.consistency
    transform = build_transform(config, consistency) if consistency else None
    objective = build_objective(config)
    whole: TrainingObjective
    if is_binarized(config.model.likelihood):
        within = partial(_around, model, objective, consistency)
        whole = DynamicBinarization(model, within, transform)
    else:
        whole = _around(model, objective, consistency, transform)
    return Regularized(whole, model.regularization) if isinstance(model, NVAE) else whole


def _around(
    model: LatentVariableModel,
    objective: Objective,
    consistency: ConsistencyConfig | None,
    transform: BatchTransform | None,
) -> TrainingObjective:
    if consistency is None or transform is None:
        return SinglePass(model, objective)
    return ConsistencyRegularized(
        model,
        objective,
        transform,
        weight=consistency.weight,
        direction=consistency.direction,
        stop_gradient=consistency.stop_gradient,
        target=consistency.target,
        dimensions=consistency.dimensions,
        joint_batch=consistency.joint_batch,
    )


def _posterior(config: Config) -> Literal["gaussian", "code"]:
    return "code" if config.objective.name == "autoencoder" else "gaussian"
