"""The one strict schema of an experiment; a YAML file under ``configs/`` is an instance of it.

Importing this module does not import torch: a mistake in a config is found before anything
heavy starts.
"""

import difflib
import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pc_crvae.errors import UserError
from pc_crvae.files import atomic_path
from pc_crvae.resources import resource_folder
from pc_crvae.validation import describe
from pc_crvae.yaml_files import parse_yaml, read_yaml

PositiveInt = Annotated[int, Field(ge=1)]
Widths = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the schema: no unknown key, no silent conversion, never changed once made."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class DataConfig(Section):
    """Which shapes."""

    name: str = Field("shapes", description="a card's name, or the path of a card")
    root: str | None = Field(
        None,
        description="folder that holds the data; by default $PC_CRVAE_DATA/<the card's folder>, "
        "then datasets/<name>",
    )
    up: Literal["x", "y", "z"] | None = Field(
        None, description="the source's up axis, where it is not the card's"
    )
    points: PositiveInt = Field(1024, description="points taken of each cloud, anew each epoch")
    validation_fraction: float = Field(
        0.1, gt=0, lt=0.5, description="share of the training split held out, by class"
    )


class RotateZConfig(Section):
    """Rotation about the vertical."""

    name: Literal["rotate_z"]
    max_degrees: float = Field(180.0, ge=0, le=180)


class RotateAboutRandomAxisConfig(Section):
    """Rotation about a random axis by a bounded angle."""

    name: Literal["rotate_about_random_axis"]
    max_degrees: float = Field(15.0, ge=0, le=180)


class RotateSO3Config(Section):
    """A uniformly random rotation."""

    name: Literal["rotate_so3"]
    probability: Fraction = 1.0


class JitterConfig(Section):
    """Gaussian noise on every point, clipped."""

    name: Literal["jitter"]
    sigma: NonNegative = 0.01
    clip: NonNegative = 0.05


class SubsampleConfig(Section):
    """A random share of the points, one share a batch."""

    name: Literal["subsample"]
    min_fraction: float = Field(0.5, gt=0, le=1)
    max_fraction: float = Field(1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_fraction > self.max_fraction:
            raise ValueError("min_fraction must not exceed max_fraction")
        return self


class DropLocalRegionConfig(Section):
    """A region about a random point left out."""

    name: Literal["drop_local_region"]
    max_fraction: float = Field(0.25, ge=0, lt=1)


class ScaleAnisotropicConfig(Section):
    """A random factor for each axis."""

    name: Literal["scale_anisotropic"]
    low: float = Field(0.8, gt=0)
    high: float = Field(1.25, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError("low must not exceed high")
        return self


class TranslateConfig(Section):
    """A random offset of the whole cloud."""

    name: Literal["translate"]
    max_offset: NonNegative = 0.1


TransformConfig = Annotated[
    RotateZConfig
    | RotateAboutRandomAxisConfig
    | RotateSO3Config
    | JitterConfig
    | SubsampleConfig
    | DropLocalRegionConfig
    | ScaleAnisotropicConfig
    | TranslateConfig,
    Field(discriminator="name"),
]


class PointNetConfig(Section):
    """PointNet: a perceptron shared by the points, then a maximum (arXiv 1612.00593)."""

    name: Literal["pointnet"]
    widths: Widths = (64, 64, 64, 128, 1024)
    batch_norm: bool = True


class DGCNNConfig(Section):
    """DGCNN: edge convolutions on nearest-neighbour graphs (arXiv 1801.07829)."""

    name: Literal["dgcnn"]
    widths: Widths = (64, 64, 128, 256)
    embedding: PositiveInt = 1024
    k: PositiveInt = 20
    pooling: Literal["max", "max_mean"] = "max"
    graph: Literal["dynamic", "static"] = Field(
        "dynamic", description="dynamic: rebuilt from each layer's features; static: of the points"
    )
    batch_norm: bool = True


class FoldingNetEncoderConfig(Section):
    """FoldingNet's graph encoder (arXiv 1712.07262)."""

    name: Literal["foldingnet"]
    k: PositiveInt = 16
    widths: Widths = (64, 64, 64)
    graph_widths: Widths = (128, 1024)
    covariance: bool = Field(True, description="local covariances beside the coordinates")
    batch_norm: bool = False


EncoderConfig = Annotated[
    PointNetConfig | DGCNNConfig | FoldingNetEncoderConfig, Field(discriminator="name")
]


class HeadConfig(Section):
    """From the encoder's pooled features to the posterior's parameters."""

    normalize_features: bool = Field(False, description="batch-norm of the pooled features")
    widths: tuple[PositiveInt, ...] = Field((), description="hidden layers before the last")
    batch_norm: bool = Field(False, description="batch-norm in the hidden layers")
    initial_log_variance: float = Field(
        -4.0, ge=-10, le=0, description="bias of the posterior's log-variances at the start"
    )


class FoldingDecoderConfig(Section):
    """Folding: points of a fixed source moved by perceptrons that see the codeword."""

    name: Literal["folding"]
    source: Literal["plane", "sphere", "gaussian"] = "plane"
    points: PositiveInt = 2025
    widths: Widths = (512, 512)
    folds: PositiveInt = 2

    @model_validator(mode="after")
    def _makes_a_grid(self) -> Self:
        factors = any(self.points % rows == 0 for rows in range(2, math.isqrt(self.points) + 1))
        if self.source == "plane" and not factors:
            raise ValueError(
                f"{self.points} points make no grid: take a number that factors, such as "
                "2025 = 45 x 45, or another source"
            )
        return self


class FullyConnectedDecoderConfig(Section):
    """A perceptron that emits every coordinate: the control."""

    name: Literal["fully_connected"]
    points: PositiveInt = 1024
    widths: Widths = (512, 1024)


DecoderConfig = Annotated[
    FoldingDecoderConfig | FullyConnectedDecoderConfig, Field(discriminator="name")
]


class ChamferLikelihoodConfig(Section):
    """log p(x|z) = -scale * Chamfer distance, in nats a cloud."""

    scale: float = Field(
        1e6, gt=0, description="nats per unit of distance: points / (4 sigma^2) if squared and sum"
    )
    squared: bool = Field(True, description="square the nearest distances")
    directions: Literal["sum", "mean", "max"] = "sum"


class ModelConfig(Section):
    """An encoder, a decoder and what joins them."""

    encoder: EncoderConfig = Field(PointNetConfig(name="pointnet"))
    head: HeadConfig = HeadConfig()
    latent_dim: PositiveInt = 256
    decoder: DecoderConfig = Field(FoldingDecoderConfig(name="folding"))
    likelihood: ChamferLikelihoodConfig = ChamferLikelihoodConfig()


class AutoEncoderConfig(Section):
    """The log-likelihood alone."""

    name: Literal["autoencoder"]


class ELBOConfig(Section):
    """log p(x|z) - beta KL(q(z|x) || p(z)); beta = 1 is the VAE."""

    name: Literal["elbo"]
    beta: NonNegative = 1.0
    warmup_epochs: NonNegative = Field(0.0, description="epochs over which beta rises from 0")
    free_bits: NonNegative = Field(0.0, description="nats a dimension that cost nothing")


ObjectiveConfig = Annotated[AutoEncoderConfig | ELBOConfig, Field(discriminator="name")]


class ConsistencyConfig(Section):
    """The second pass, on transformed shapes, and the KL between the two posteriors."""

    weight: NonNegative = Field(
        1.0, description="lambda, per nat; 0 is the base model with augmentation"
    )
    warmup_epochs: NonNegative = Field(0.0, description="epochs over which lambda rises from 0")
    direction: Literal["transformed_first", "original_first"] = "transformed_first"
    stop_gradient: bool = Field(False, description="hold the original's posterior fixed in the KL")
    target: Literal["transformed", "original"] = Field(
        "transformed", description="what the transformed shape's latent must explain"
    )
    dimensions: tuple[int, int] | None = Field(
        None, description="[start, stop] of the latent dimensions the KL acts on; null: all"
    )
    joint_batch: bool = Field(
        False, description="encode both as one batch; the transform must keep the point count"
    )
    transforms: tuple[TransformConfig, ...] = (
        RotateZConfig(name="rotate_z"),
        SubsampleConfig(name="subsample"),
        JitterConfig(name="jitter"),
    )


class TrainingConfig(Section):
    """The loop: AdamW, a warm-up and a cosine."""

    epochs: PositiveInt = 100
    batch_size: PositiveInt = Field(32, description="shapes a step, over all processes")
    accumulation: PositiveInt = Field(1, description="parts a step's batch is computed in")
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: NonNegative = 1e-4
    warmup_epochs: NonNegative = Field(1.0, description="linear rise of the learning rate")
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_norm: float | None = Field(
        None,
        gt=0,
        description="largest gradient norm, which grows with model.likelihood.scale; null: any",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16: autocast; distances and KLs stay in float32"
    )
    ema_decay: float | None = Field(
        None, gt=0, lt=1, description="evaluate and export an average of the weights"
    )
    synchronize_batch_norm: bool = Field(
        True, description="batch-norm statistics over all processes"
    )
    device: Literal["auto", "cpu"] = Field("auto", description="auto: a GPU where there is one")


class CheckpointConfig(Section):
    """When states are saved."""

    every_epochs: PositiveInt = 1
    every_minutes: float | None = Field(
        10.0, gt=0, description="also within an epoch, where epochs are long; null: never"
    )
    keep: PositiveInt = Field(2, description="states kept beside the best")


class LoggingConfig(Section):
    """What is watched while training."""

    every_steps: PositiveInt = 20
    tensorboard: bool = True
    pictures_every_epochs: int = Field(10, ge=0, description="reconstructions; 0: never")
    probe_every_epochs: int = Field(
        10, ge=0, description="linear probe on the validation split; 0: never"
    )


class Config(Section):
    """One experiment."""

    seed: int = Field(0, ge=0, lt=2**32)
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = Field(ELBOConfig(name="elbo"))
    consistency: ConsistencyConfig | None = Field(
        ConsistencyConfig(), description="null: a single pass, no transform"
    )
    training: TrainingConfig = TrainingConfig()
    checkpoints: CheckpointConfig = CheckpointConfig()
    logging: LoggingConfig = LoggingConfig()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        consistency = self.consistency
        if consistency is not None:
            if self.objective.name == "autoencoder" and consistency.weight > 0:
                raise ValueError(
                    "an auto-encoder has no posterior KL: set consistency.weight to 0, "
                    "consistency to null, or objective.name to elbo"
                )
            if consistency.dimensions is not None:
                start, stop = consistency.dimensions
                if not 0 <= start < stop <= self.model.latent_dim:
                    raise ValueError(
                        f"consistency.dimensions {list(consistency.dimensions)} must be "
                        f"[start, stop] within the {self.model.latent_dim} latent dimensions"
                    )
            resizing = [t.name for t in consistency.transforms if t.name in _RESIZING]
            if consistency.joint_batch and resizing:
                raise ValueError(
                    f"consistency.joint_batch needs transforms that keep the point count, and "
                    f"{resizing[0]} does not"
                )
        k = getattr(self.model.encoder, "k", 1)
        fewest = self._fewest_points()
        if k > fewest:
            raise ValueError(
                f"model.encoder.k {k} needs clouds of as many points, and data.points "
                f"{self.data.points} with these transforms leaves as few as {fewest}"
            )
        if self.training.batch_size % self.training.accumulation:
            raise ValueError(
                f"training.batch_size {self.training.batch_size} must be a multiple of "
                f"training.accumulation {self.training.accumulation}"
            )
        return self

    def _fewest_points(self) -> int:
        """The smallest cloud that the encoder may meet in training."""
        fewest = self.data.points
        for transform in self.consistency.transforms if self.consistency else ():
            if isinstance(transform, SubsampleConfig):
                fewest = max(1, round(transform.min_fraction * fewest))
            elif isinstance(transform, DropLocalRegionConfig):
                fewest -= math.floor(transform.max_fraction * fewest)
        return fewest


_RESIZING = ("subsample", "drop_local_region")


def find_config(path: Path) -> Path:
    """The file that ``path`` means: itself, or one that comes with the package, by its name.

    Raises:
        UserError: if there is neither, naming the nearest that comes with the package.
    """
    folder = resource_folder("configs")
    candidates = [path]
    if path.parent.name in ("", "configs"):
        candidates += [folder / path.name, folder / f"{path.name}.yaml"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    known = sorted(file.name for file in folder.glob("*.yaml"))
    near = difflib.get_close_matches(path.name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the package brings {', '.join(known)}"
    raise UserError(f"there is no config {path}: {hint}")


def load_config(path: Path, overrides: list[str] | None = None) -> Config:
    """Read a YAML file, apply ``section.key=value`` overrides (values are YAML), check all.

    Raises:
        UserError: on an unreadable file, an unknown key (naming the nearest right one), a
            wrong type or a value out of range.
    """
    config = parse_config(read_yaml(path), str(path))
    if not overrides:
        return config
    values = plain(config)
    # A change of kind goes first, so that keys of the new kind can follow in any order.
    for override in sorted(overrides, key=lambda text: ".name=" not in text):
        _apply_override(values, override)
    return parse_config(values, "the command line")


def parse_config(values: dict[str, Any], where: str) -> Config:
    """Check plain values against the schema; ``where`` names their source in errors."""
    try:
        text = json.dumps(values)
    except (TypeError, ValueError) as error:  # a date, a set, a value that holds itself
        raise UserError(f"{where} holds what no setting can be: {error}") from None
    try:
        # JSON mode is strict about types yet takes a list for a tuple, as YAML must.
        return Config.model_validate_json(text)
    except pydantic.ValidationError as error:
        raise UserError(describe(error, where, Config)) from None


def save_config(config: Config, path: Path) -> None:
    """Write the resolved configuration as YAML."""
    with atomic_path(path) as temporary:
        temporary.write_text(yaml.safe_dump(plain(config), sort_keys=False))


def plain(section: BaseModel) -> dict[str, Any]:
    """Plain values of a section, as JSON and YAML hold them."""
    values: dict[str, Any] = section.model_dump(mode="json")
    return values


def json_schema() -> str:
    """The schema for editors, as ``configs/schema.json`` holds it."""
    return json.dumps(Config.model_json_schema(), indent=2) + "\n"


def _apply_override(values: dict[str, Any], override: str) -> None:
    path, separator, text = override.partition("=")
    *sections, key = path.split(".")
    if not separator or not key or not all(sections):
        raise UserError(f"override {override!r} must be written section.key=value")
    try:
        value = parse_yaml(text)
    except yaml.YAMLError:
        raise UserError(f"the value of override {override!r} is not valid YAML") from None
    section = values
    for name in sections:
        if section.get(name) is None:
            section[name] = {}
        section = section[name]
        if not isinstance(section, dict):
            raise UserError(f"override {override!r}: {name!r} is a value, not a section")
    changes_kind = key == "name" and sections != ["data"] and section.get("name") != value
    if changes_kind:
        section.clear()
    section[key] = value
