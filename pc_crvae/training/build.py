"""From a configuration to the model, what its training maximises, and the optimiser of both."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from pc_crvae import config as configs
from pc_crvae.config.images import is_binarized
from pc_crvae.data.images import ImageSet
from pc_crvae.data.items import ItemSet
from pc_crvae.errors import UserError, told
from pc_crvae.models.checks import ImageShape
from pc_crvae.models.images.build import build_image_transform, onto_levels
from pc_crvae.models.images.nvae.model import NVAE
from pc_crvae.models.images.nvae.pretrained import PretrainedNVAE
from pc_crvae.models.images.vae import ImageVAE
from pc_crvae.models.mlp import mlp
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.models.pretrained import Pretrained
from pc_crvae.models.vae import VAE
from pc_crvae.objectives import base
from pc_crvae.objectives.binarization import binarize
from pc_crvae.objectives.consistency import ConsistencyRegularized
from pc_crvae.objectives.contrast import ContrastByKL, ContrastByProjector
from pc_crvae.objectives.divergences import Divergence, KLDivergence
from pc_crvae.objectives.elbo import ELBO
from pc_crvae.objectives.iwae import IWAE
from pc_crvae.objectives.regularization import Regularized
from pc_crvae.randomness.draws import Draws
from pc_crvae.transforms import points

BatchTransform = Callable[[Tensor, Draws], Tensor]

OBJECTIVES: dict[str, type[base.Objective]] = {
    "autoencoder": base.AutoEncoding,
    "elbo": ELBO,
    "iwae": IWAE,
}
"""What one pass maximises, by ``objective.name``."""


_NATS, _COSINE = 20.0, 0.1
"""Temperatures of contrast by KL and by cosines, where the config has none."""


def build_model(config: configs.Config, image_shape: ImageShape | None = None) -> Pretrained:
    """The model, initialised from torch's global generator.

    Args:
        config: says which.
        image_shape: (C, H, W) of the images that a model of images is made for.

    Raises:
        UserError: layers that these images are too small for, or transforms that they have too few
            channels for.
        ValueError: a model of images without their shape.
    """
    if isinstance(config.data, configs.MixtureConfig):
        shares = {one.name: one.share for one in config.data.mixture}
        data: dict[str, Any] = {"name": None, "up": None, "mixture": shares}
    else:
        data = {"name": config.data.name, "up": config.data.up}
    if not config.decodes:
        data["decodes"] = False
    if isinstance(config.model, configs.PointModelConfig):
        return PointVAE(
            config.model, posterior=_posterior(config), points=config.data.points, data=data
        )
    if image_shape is None:
        raise ValueError("a model of images is made for images of a shape")
    with told(f"the config does not go with the images of {config.data.name}", ValueError):
        if config.consistency is not None:
            transforms = cast(Sequence[configs.ImageTransformConfig], config.consistency.transforms)
            build_image_transform(transforms).require_channels(image_shape[0])
        if isinstance(config.model, configs.NVAEModelConfig):
            return PretrainedNVAE(config.model, shape=image_shape, data=data)
        return ImageVAE(config.model, posterior=_posterior(config), shape=image_shape, data=data)


def image_shape_of(config: configs.Config, items: ItemSet) -> ImageShape | None:
    """The shape of the images of ``items``; None for clouds.

    Raises:
        UserError: the model of ``config`` has the other modality.
    """
    of_points = isinstance(config.model, configs.PointModelConfig)
    if isinstance(items, ImageSet) == of_points:
        raise UserError(
            f"{items.name} holds {items.holds}, and model.name {config.model.name} is a model of "
            f"{'points' if of_points else 'images'}: choose another data.name or model.name"
        )
    if not isinstance(items, ImageSet):
        return None
    _, channels, height, width = items.images.shape
    return channels, height, width


def build_objective(config: configs.Config, model: base.LatentVariableModel) -> base.Objective:
    """L, what one pass maximises; its settings are those of the config, by the same names."""
    # The warm-up is the schedule's.
    settings = config.objective.model_dump(exclude={"name", "warmup_epochs"})
    return OBJECTIVES[config.objective.name].for_model(model, **settings)


def build_transform(
    config: configs.Config, consistency: configs.ConsistencyConfig
) -> BatchTransform:
    """t, the listed transforms one after the other, onto what the model's likelihood takes."""
    if not isinstance(config.model, configs.PointModelConfig):
        transforms = cast(Sequence[configs.ImageTransformConfig], consistency.transforms)
        return onto_levels(build_image_transform(transforms), config.model.likelihood)
    return points.Compose(
        [points.TRANSFORMS[listed.name](**listed.arguments()) for listed in consistency.transforms]
    )


def build_training_objective(
    config: configs.Config, model: base.LatentVariableModel
) -> base.TrainingObjective:
    """The one module whose forward is the whole of a training step's objective.

    Where the log-likelihood has no weight, the decoder of ``model`` is frozen.
    """
    consistency = config.consistency
    objective = build_objective(config, model)
    observe = binarize if is_binarized(config.model.likelihood) else base.as_it_is
    whole: base.TrainingObjective
    if consistency is None:
        whole = base.SinglePass(model, objective, observe)
    else:
        whole = ConsistencyRegularized(
            model,
            objective,
            build_transform(config, consistency),
            weight=consistency.weight,
            divergence=build_divergence(consistency, model),
            target=consistency.target,
            views=consistency.views,
            observe=observe,
        )
    if isinstance(model, VAE) and not config.decodes:
        model.decoder.requires_grad_(False)  # processes would wait for gradients that never come
    return Regularized(whole, model.regularization) if isinstance(model, NVAE) else whole


def build_divergence(
    consistency: configs.ConsistencyConfig, model: base.LatentVariableModel
) -> Divergence:
    """D, how far the posteriors of an item and of its transform lie apart."""
    common: dict[str, Any] = {
        name: getattr(consistency, name) for name in ("direction", "stop_gradient", "dimensions")
    }
    if consistency.form == "kl":
        return KLDivergence(**common)
    if consistency.score == "kl":
        return ContrastByKL(consistency.temperature or _NATS, **common)
    *hidden, out = consistency.projector_widths
    in_features = _size_of_means(model)
    if consistency.dimensions is not None:
        in_features = consistency.dimensions[1] - consistency.dimensions[0]
    projector = nn.Sequential(
        mlp(in_features, hidden, batch_norm=True),
        nn.Linear(hidden[-1] if hidden else in_features, out),
    )
    return ContrastByProjector(projector, consistency.temperature or _COSINE, **common)


def _size_of_means(model: base.LatentVariableModel) -> int:
    groups = model.config.representation_groups if isinstance(model, NVAE) else None
    return sum(model.prior().group_sizes[:groups])


def build_optimizer(
    objective: nn.Module, options: configs.TrainingConfig, *, frozen: Iterable[nn.Parameter] = ()
) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019), decaying weight matrices and nothing else.

    Fused: one pass over all parameters, on the device where they lie now.

    Args:
        objective: the module whose parameters it trains, the model's and the objective's own.
        options: the learning rate and the decay of the weights.
        frozen: parameters of the module that it leaves as they are.
    """
    left_out = {id(parameter) for parameter in frozen}
    trained = [parameter for parameter in objective.parameters() if id(parameter) not in left_out]
    matrices = [parameter for parameter in trained if parameter.ndim >= 2]
    others = [parameter for parameter in trained if parameter.ndim < 2]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": options.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=options.learning_rate,
        fused=True,
    )


def _posterior(config: configs.Config) -> Literal["gaussian", "code"]:
    return "code" if config.objective.name == "autoencoder" else "gaussian"
