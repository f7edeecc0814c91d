"""The parts of the schema that are about images."""

from typing import Annotated, Literal

from pydantic import Field

from pc_crvae.config.sections import Fraction, HeadConfig, PositiveInt, Section, Widths, rising


class MLPEncoderConfig(Section):
    """Perceptrons on the flattened image; the widths are those of the CR-VAE release."""

    name: Literal["mlp"]
    widths: Widths = (1000, 1000, 1000)
    batch_norm: bool = False


class ConvolutionalEncoderConfig(Section):
    """4x4 convolutions of stride 2; the CR-VAE release has [128, 256, 512, 1024] and batch-norm."""

    name: Literal["convolutional"]
    widths: Widths = (32, 64, 64)
    """channels, one stride-2 layer each"""
    batch_norm: bool = True


ImageEncoderConfig = Annotated[
    MLPEncoderConfig | ConvolutionalEncoderConfig, Field(discriminator="name")
]


class ImageHeadConfig(HeadConfig):
    """From the encoder's features to the posterior's parameters."""

    widths: tuple[PositiveInt, ...] = ()
    """hidden layers before the last"""
    initial_log_variance: float = Field(0.0, ge=-10, le=0)
    """bias of the posterior's log-variances at the start"""


class MLPDecoderConfig(Section):
    """Perceptrons, then every pixel at once."""

    name: Literal["mlp"]
    widths: Widths = (1000, 1000, 1000)
    batch_norm: bool = False


class ConvolutionalDecoderConfig(Section):
    """4x4 transposed convolutions of stride 2, the mirror of the encoder."""

    name: Literal["convolutional"]
    widths: Widths = (64, 64, 32)
    """channels, the coarsest first, one stride-2 layer each"""
    hidden: tuple[PositiveInt, ...] = ()
    """perceptrons between the latent and the coarsest channels"""
    batch_norm: bool = True


ImageDecoderConfig = Annotated[
    MLPDecoderConfig | ConvolutionalDecoderConfig, Field(discriminator="name")
]


class BernoulliLikelihoodConfig(Section):
    """Pixels that are 0 or 1."""

    name: Literal["bernoulli"]
    binarization: Literal["dynamic", "none"] = "dynamic"
    """dynamic: pixels drawn with the grey levels as probabilities, anew each step and after the
    transform; none: images that are binary already"""


class GaussianLikelihoodConfig(Section):
    """Pixels with normal noise."""

    name: Literal["gaussian"]
    standard_deviation: float | None = Field(0.1, gt=0)
    """of every pixel, whose values are in [0, 1]; null: learned for each"""


class DiscretizedLogisticLikelihoodConfig(Section):
    """A discretised logistic for each channel of each pixel: 256 levels."""

    name: Literal["discretized_logistic"]


class DiscretizedLogisticMixtureLikelihoodConfig(Section):
    """A mixture of discretised logistics with channel-conditional means (arXiv 1701.05517)."""

    name: Literal["discretized_logistic_mixture"]
    components: PositiveInt = 10


ImageLikelihoodConfig = Annotated[
    BernoulliLikelihoodConfig
    | GaussianLikelihoodConfig
    | DiscretizedLogisticLikelihoodConfig
    | DiscretizedLogisticMixtureLikelihoodConfig,
    Field(discriminator="name"),
]


class ImageModelConfig(Section):
    """An encoder, a decoder and what joins them, for images."""

    name: Literal["image_vae"]
    encoder: ImageEncoderConfig = Field(ConvolutionalEncoderConfig(name="convolutional"))
    head: ImageHeadConfig = ImageHeadConfig()
    latent_dim: PositiveInt = 32
    decoder: ImageDecoderConfig = Field(ConvolutionalDecoderConfig(name="convolutional"))
    likelihood: ImageLikelihoodConfig = Field(BernoulliLikelihoodConfig(name="bernoulli"))


class AffineConfig(Section):
    """Rotation, translation and scale in one resampling; the CR-VAE release's small ranges."""

    name: Literal["affine"]
    max_degrees: float = Field(15.0, ge=0, le=180)
    max_translation: Fraction = 0.05
    """share of height and width"""
    min_scale: float = Field(0.9, gt=0)
    max_scale: float = Field(1.1, gt=0)
    padding: Literal["zeros", "border", "reflection"] = "zeros"
    """what comes in from outside"""

    _ordered = rising("min_scale", "max_scale")


class FlipConfig(Section):
    """A mirror image, with a probability."""

    name: Literal["flip"]
    axis: Literal["vertical", "horizontal"] = "vertical"
    """vertical: upside down; horizontal: left for right"""
    probability: Fraction = 0.5


class ColorJitterConfig(Section):
    """Brightness, contrast and hue; the CR-VAE release's ranges."""

    name: Literal["color_jitter"]
    brightness: Fraction = 0.2
    """largest change of the factor 1"""
    contrast: Fraction = 0.5
    """largest change of the factor 1"""
    hue: float = Field(0.2, ge=0, le=0.5)
    """largest turn, in turns of the colour wheel"""


class PublishedConfig(Section):
    """The CR-VAE release's transforms: affine, then flip and colour where asked for."""

    name: Literal["published"]
    strength: Literal["small", "large"] = "small"
    """small: 15 degrees, 5 %, scale 0.9 to 1.1; large: 30, 10 %, 0.75 to 1.25"""
    flip: bool = False
    """upside down with probability 0.5, for some sets"""
    color: bool = False
    """brightness 0.2, contrast 0.5, hue 0.2, for colour sets"""


ImageTransformConfig = Annotated[
    AffineConfig | FlipConfig | ColorJitterConfig | PublishedConfig, Field(discriminator="name")
]


def is_binarized(likelihood: Section) -> bool:
    """Whether a model of this likelihood is of pixels drawn from grey levels."""
    return (
        isinstance(likelihood, BernoulliLikelihoodConfig) and likelihood.binarization == "dynamic"
    )
