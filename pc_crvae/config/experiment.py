"""One experiment: which data, which model, what is maximised, how it is trained."""

import math
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Discriminator, Field, Tag, model_validator

from pc_crvae.config import points
from pc_crvae.config.data import DataChoice, DataConfig
from pc_crvae.config.images import ImageModelConfig, ImageTransformConfig
from pc_crvae.config.init import InitChoice, InitConfig
from pc_crvae.config.nvae import NVAEModelConfig
from pc_crvae.config.sections import NonNegative, PositiveInt, Section, Widths


def _kind_of_model(values: Any) -> Any:
    """The name, which configurations of point clouds may leave out."""
    return values.get("name", "point_vae") if isinstance(values, dict) else values.name


ModelConfig = Annotated[
    Annotated[points.PointModelConfig, Tag("point_vae")]
    | Annotated[ImageModelConfig, Tag("image_vae")]
    | Annotated[NVAEModelConfig, Tag("nvae")],
    Discriminator(_kind_of_model),
]
TransformConfig = Annotated[
    points.PointTransformConfig | ImageTransformConfig, Field(discriminator="name")
]


class AutoEncoderConfig(Section):
    """The log-likelihood alone."""

    name: Literal["autoencoder"]


class ELBOConfig(Section):
    """log p(x|z) - beta KL(q(z|x) || p(z)); beta = 1 is the VAE."""

    name: Literal["elbo"]
    beta: NonNegative = 1.0
    warmup_epochs: NonNegative = 0.0
    """epochs over which beta rises from 0"""
    free_bits: NonNegative = 0.0
    """nats a dimension that cost nothing"""
    weight: NonNegative = 1.0
    """of the log-likelihood; 0: nothing is decoded, the decoder is not trained, and beta KL(q(z|x)
    || p(z)) bounds the posterior's variances"""
    balanced_groups: bool = False
    """while beta rises, charge each latent group by what it says; of an nvae"""
    balancing: Literal["per_dimension", "release"] = "per_dimension"
    """charge a group by its KL a dimension; release: times how many groups its scale has, as NVAE's
    release does"""


class IWAEConfig(Section):
    """The importance-weighted bound (arXiv 1509.00519)."""

    name: Literal["iwae"]
    samples: PositiveInt = 8
    """K, latents drawn for each image"""
    gradient: Literal["reparameterized", "doubly_reparameterized"] = "reparameterized"
    """of the encoder; doubly_reparameterized: that of arXiv 1810.04152"""
    warmup_epochs: NonNegative = 0.0
    """epochs over which the weight of prior and posterior rises from 0"""


ObjectiveConfig = Annotated[
    AutoEncoderConfig | ELBOConfig | IWAEConfig, Field(discriminator="name")
]


class ConsistencyConfig(Section):
    """The second pass, on transformed shapes, and the divergence of the two posteriors."""

    form: Literal["kl", "contrast"] = "kl"
    """kl: the posteriors of an item and of its transform have to agree; contrast: they also have to
    be nearer to each other than to those of the batch's other items"""
    score: Literal["kl", "projector"] = "kl"
    """what contrast compares posteriors by: their KL, or the cosine of what a small network makes
    of their means"""
    temperature: float | None = Field(None, gt=0)
    """of contrast, in the unit of its score: nats (null: 20), or 1 - cosine (null: 0.1). A weight
    of 1 / temperature makes contrast a cross-entropy"""
    projector_widths: Widths = (512, 512, 128)
    """of the projector's layers"""
    weight: NonNegative = 1.0
    """lambda, per unit of divergence; 0 is the base model with augmentation"""
    warmup_epochs: NonNegative = 0.0
    """epochs over which lambda rises from 0"""
    direction: Literal["transformed_first", "original_first", "both"] = "transformed_first"
    """the order of the divergence's arguments; both: the mean"""
    views: Literal["one", "both"] = "one"
    """one: t(x) beside x, as the paper; both: two draws of t"""
    stop_gradient: bool = False
    """hold the original's posterior fixed in the divergence"""
    target: Literal["transformed", "original"] = "transformed"
    """what the transformed shape's latent must explain"""
    dimensions: tuple[int, int] | None = None
    """[start, stop] of the latent dimensions it acts on; null: all"""
    transforms: tuple[TransformConfig, ...] = (
        points.RotateZConfig(name="rotate_z"),
        points.SubsampleConfig(name="subsample"),
        points.JitterConfig(name="jitter"),
    )


class TrainingConfig(Section):
    """The loop: AdamW, a warm-up and a cosine."""

    epochs: PositiveInt | None = 100
    """null: steps says how long"""
    steps: PositiveInt | None = None
    """optimiser steps of the whole run, instead of epochs"""
    batch_size: PositiveInt = 32
    """shapes a step, over all processes"""
    accumulation: PositiveInt = 1
    """parts a step's batch is computed in"""
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: NonNegative = 1e-4
    warmup_epochs: NonNegative = 1.0
    """linear rise of the learning rate"""
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_norm: float | None = Field(None, gt=0)
    """largest gradient norm, which grows with model.likelihood.scale; null: any"""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """bfloat16: autocast; distances and KLs stay in float32; auto: bfloat16 where the device
    multiplies in it at least 1.2 times as fast, measured as the run starts"""
    threads: int | None = Field(None, ge=1, le=1024)
    """of torch and the kernels on a CPU, for each process; null: as many as the machine lets, or as
    the run has that is resumed"""
    ema_decay: float | None = Field(None, gt=0, lt=1)
    """evaluate and export an average of the weights"""
    synchronize_batch_norm: bool = True
    """batch-norm statistics over all processes"""
    device: Literal["auto", "cpu"] = "auto"
    """auto: a GPU where there is one"""

    @model_validator(mode="before")
    @classmethod
    def _steps_replace_the_default_of_epochs(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("steps") is not None and "epochs" not in values:
            return values | {"epochs": None}
        return values

    @model_validator(mode="after")
    def _ends_once(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(
                "a run is as long as epochs or as steps says: give one of them, and set the other "
                "to null"
            )
        return self


class CheckpointConfig(Section):
    """When states are saved."""

    every_epochs: PositiveInt = 1
    every_minutes: float | None = Field(10.0, gt=0)
    """also within an epoch, where epochs are long; null: never"""
    keep: PositiveInt = 2
    """states kept beside the best"""


class LoggingConfig(Section):
    """What is watched while training."""

    every_steps: PositiveInt = 20
    tensorboard: bool = True
    pictures_every_epochs: int = Field(10, ge=0)
    """reconstructions; 0: never"""
    probe_every_epochs: int = Field(10, ge=0)
    """linear probe on the validation split; 0: never"""


class Config(Section):
    """One experiment."""

    seed: int = Field(0, ge=0, lt=2**32)
    data: DataChoice = DataConfig()
    model: ModelConfig = points.PointModelConfig()
    init: InitChoice = None
    """the saved model that training starts from, its name or path alone, or with what is taken of
    it; null: random weights"""
    objective: ObjectiveConfig = Field(ELBOConfig(name="elbo"))
    consistency: ConsistencyConfig | None = Field(ConsistencyConfig())
    """null: a single pass, no transform"""
    training: TrainingConfig = TrainingConfig()
    checkpoints: CheckpointConfig = CheckpointConfig()
    logging: LoggingConfig = LoggingConfig()

    @property
    def decodes(self) -> bool:
        """Whether training decodes, and so trains the decoder."""
        return not isinstance(self.objective, ELBOConfig) or self.objective.weight > 0

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.consistency is not None:
            self._consistency_agrees(self.consistency)
        if isinstance(self.model, points.PointModelConfig):
            self._clouds_are_large_enough(self.model)
        if isinstance(self.model, NVAEModelConfig):
            if self.objective.name != "elbo":
                raise ValueError(f"an nvae takes objective.name elbo, not {self.objective.name}")
            if not self.decodes:
                raise ValueError("an nvae decodes while it encodes: objective.weight must not be 0")
        if isinstance(self.objective, ELBOConfig):
            if self.objective.balanced_groups:
                self._groups_can_be_balanced(self.objective)
            if self.objective.free_bits and getattr(self.model, "flows", 0):
                raise ValueError(
                    "objective.free_bits bound the KL of each dimension, which model.flows "
                    "estimates at a sample, so that it is negative at times: set one of them to 0"
                )
        if self.init is not None:
            self._leaves_something_to_train(self.init)
        if self.training.batch_size % self.training.accumulation:
            raise ValueError(
                f"training.batch_size {self.training.batch_size} must be a multiple of "
                f"training.accumulation {self.training.accumulation}"
            )
        return self

    def _leaves_something_to_train(self, init: InitConfig) -> None:
        if isinstance(self.model, NVAEModelConfig) and (init.parts or init.freeze):
            raise ValueError(
                "init.parts and init.freeze name parts of a VAE, and an nvae is taken as a whole: "
                "leave them out"
            )
        trained = {"encoder", "head", *(["decoder"] if self.decodes else [])}
        if trained <= set(init.freeze):
            raise ValueError("init.freeze leaves nothing to train: take a part out of it")

    def _groups_can_be_balanced(self, objective: ELBOConfig) -> None:
        if not isinstance(self.model, NVAEModelConfig):
            raise ValueError(
                "objective.balanced_groups needs the latent groups of an nvae, and model.name is "
                f"{self.model.name}: set it to false"
            )
        if objective.free_bits:
            raise ValueError(
                "objective.free_bits and objective.balanced_groups do not go together: set the "
                "first to 0 or the second to false"
            )
        if not objective.warmup_epochs:
            raise ValueError(
                "objective.balanced_groups acts while beta rises, and objective.warmup_epochs is "
                "0: give it epochs or set the first to false"
            )

    def _consistency_agrees(self, consistency: ConsistencyConfig) -> None:
        by_kl = consistency.form == "kl" or consistency.score == "kl"
        if self.objective.name == "autoencoder" and consistency.weight > 0 and by_kl:
            raise ValueError(
                "an auto-encoder has no posterior KL: set consistency.weight to 0, "
                "consistency to null, or objective.name to elbo"
            )
        default = ConsistencyConfig.model_fields["projector_widths"].default
        if consistency.score == "kl" and consistency.projector_widths != default:
            raise ValueError(
                "consistency.projector_widths belong to the score projector: set consistency.score "
                "to it, or leave them out"
            )
        if consistency.form == "contrast":
            self._items_can_be_contrasted(consistency)
        elif consistency.score != "kl" or consistency.temperature is not None:
            raise ValueError(
                "consistency.score and consistency.temperature belong to contrast: set "
                "consistency.form to contrast, or leave them out"
            )
        if consistency.dimensions is not None:
            start, stop = consistency.dimensions
            dimensions = getattr(self.model, "latent_dim", None)
            if dimensions is None:
                raise ValueError(
                    "consistency.dimensions picks dimensions of one latent, and an nvae has groups "
                    "of them: set it to null"
                )
            if not 0 <= start < stop <= dimensions:
                raise ValueError(
                    f"consistency.dimensions {list(consistency.dimensions)} must be "
                    f"[start, stop] within the {dimensions} latent dimensions"
                )
        names = [transform.name for transform in consistency.transforms]
        of_points = isinstance(self.model, points.PointModelConfig)
        foreign = [name for name in names if (name in _OF_POINTS) != of_points]
        if foreign:
            raise ValueError(
                f"the transform {foreign[0]} is of {'images' if of_points else 'point clouds'}, "
                f"and model.name is {self.model.name}: give others in consistency.transforms"
            )

    def _items_can_be_contrasted(self, consistency: ConsistencyConfig) -> None:
        if self.training.batch_size < 2:
            raise ValueError(
                "contrast compares the items of a batch, and training.batch_size is "
                f"{self.training.batch_size}: raise it"
            )
        if self.training.accumulation > 1:
            raise ValueError(
                "contrast compares all items of a batch at once: set training.accumulation to 1"
            )
        has_flows = isinstance(self.model, NVAEModelConfig) and self.model.flows > 0
        if consistency.score == "kl" and has_flows:
            raise ValueError(
                "contrast by KL needs a Gaussian in the top group, and model.flows makes another: "
                "set it to 0, or consistency.score to projector"
            )

    def _clouds_are_large_enough(self, model: points.PointModelConfig) -> None:
        """For the neighbours that the encoder looks for."""
        fewest = self.data.points
        for transform in self.consistency.transforms if self.consistency else ():
            if isinstance(transform, points.SubsampleConfig):
                fewest = max(1, round(transform.min_fraction * fewest))
            elif isinstance(transform, points.DropLocalRegionConfig):
                fewest -= math.floor(transform.max_fraction * fewest)
        k = getattr(model.encoder, "k", 1)
        if k > fewest:
            raise ValueError(
                f"model.encoder.k {k} needs clouds of as many points, and data.points "
                f"{self.data.points} with these transforms leaves as few as {fewest}"
            )


_OF_POINTS = {
    get_args(section.model_fields["name"].annotation)[0]
    for section in get_args(get_args(points.PointTransformConfig)[0])
}
