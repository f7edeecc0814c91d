"""From a configuration to the model and to what its training maximises."""

from pc_crvae.config import Config, TransformConfig
from pc_crvae.consistency import ConsistencyRegularized
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.objectives import (
    ELBO,
    AutoEncoding,
    LatentVariableModel,
    Objective,
    SinglePass,
    TrainingObjective,
)
from pc_crvae.transforms import points as point_transforms

_TRANSFORMS: dict[str, type[point_transforms.Transform]] = {
    "rotate_z": point_transforms.RotateZ,
    "rotate_about_random_axis": point_transforms.RotateAboutRandomAxis,
    "rotate_so3": point_transforms.RotateSO3,
    "jitter": point_transforms.Jitter,
    "subsample": point_transforms.Subsample,
    "drop_local_region": point_transforms.DropLocalRegion,
    "scale_anisotropic": point_transforms.ScaleAnisotropic,
    "translate": point_transforms.Translate,
}


def build_model(config: Config) -> PointVAE:
    """The model, initialised from torch's global generator."""
    return PointVAE(
        config.model,
        posterior="code" if config.objective.name == "autoencoder" else "gaussian",
        points=config.data.points,
        data={"name": config.data.name, "up": config.data.up},
    )


def build_objective(config: Config) -> Objective:
    """L, what one pass maximises."""
    if config.objective.name == "autoencoder":
        return AutoEncoding()
    return ELBO(beta=config.objective.beta, free_bits=config.objective.free_bits)


def build_transform(configs: tuple[TransformConfig, ...]) -> point_transforms.Transform:
    """t, the listed transforms one after the other."""
    return point_transforms.Compose(
        [_TRANSFORMS[config.name](**config.model_dump(exclude={"name"})) for config in configs]
    )


def build_training_objective(config: Config, model: LatentVariableModel) -> TrainingObjective:
    """The one module whose forward is the whole of a training step's objective."""
    objective = build_objective(config)
    consistency = config.consistency
    if consistency is None:
        return SinglePass(model, objective)
    return ConsistencyRegularized(
        model,
        objective,
        build_transform(consistency.transforms),
        weight=consistency.weight,
        direction=consistency.direction,
        stop_gradient=consistency.stop_gradient,
        target=consistency.target,
        dimensions=consistency.dimensions,
        joint_batch=consistency.joint_batch,
    )
