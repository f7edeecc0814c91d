"""Random maps of batches of images.

Each is the identity at zero strength, keeps shape, device and dtype, and draws only from the
``Draws`` it is handed, as many numbers whatever its strength. Its repr is the expression that makes
it. Binarisation comes after: see `pc_crvae.objectives.binarization`.
"""

import importlib.util
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pc_crvae.errors import UserError
from pc_crvae.likelihoods.logistic import LEVELS
from pc_crvae.randomness.draws import Draws

Strength = Literal["small", "large"]


class ImageTransform(ABC):
    """A random map of images (B, C, H, W) in [0, 1] to such images, one draw per image."""

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Transform each image by its own draw.

        Args:
            images: (B, C, H, W) in [0, 1], those at the rows of the global batch that ``draws``
                holds.
            draws: the source of all randomness.

        Returns:
            (B, C, H, W) in [0, 1], in the dtype and on the device of ``images``.

        Raises:
            ValueError: images that are not (B, C, H, W), or not one per row.
        """
        if images.dim() != 4 or 0 in images.shape[1:]:
            raise ValueError(f"images must be (B, C, H, W), not {tuple(images.shape)}")
        rows = draws.rows
        held = len(range(draws.batch_size)[rows]) if isinstance(rows, slice) else len(rows)
        if len(images) != held:
            raise ValueError(f"got {len(images)} images and draws for {held}")
        # Under autocast the matrices of a resampling would be off by tenths of a pixel.
        with torch.autocast(images.device.type, enabled=False):
            return self._transform(images, draws)

    def require_channels(self, channels: int) -> None:  # noqa: B027 most take any number
        """Refuse images of so many channels where it cannot transform them.

        Raises:
            ValueError: it cannot.
        """

    @abstractmethod
    def _transform(self, images: Tensor, draws: Draws) -> Tensor:
        """Transform checked images."""


@dataclass(frozen=True)
class Affine(ImageTransform):
    """Rotate, scale and translate about the centre, in one bilinear resampling.

    The angle is uniform on [-max_degrees, max_degrees), the offset along each axis on
    [-max_translation, max_translation) of the image's height or width, the factor, one for both
    axes, on [min_scale, max_scale). The defaults are the small ranges of the CR-VAE release.
    ``padding`` says what comes in from outside: nothing (``zeros``), the ``border`` or a mirror
    image (``reflection``).
    """

    max_degrees: float = 15.0
    max_translation: float = 0.05
    min_scale: float = 0.9
    max_scale: float = 1.1
    padding: Literal["zeros", "border", "reflection"] = "zeros"

    def __post_init__(self) -> None:
        _require(0 <= self.max_degrees <= 180, self, "0 <= max_degrees <= 180")
        _require(0 <= self.max_translation <= 1, self, "0 <= max_translation <= 1")
        _require(0 < self.min_scale <= self.max_scale, self, "0 < min_scale <= max_scale")
        known = ("zeros", "border", "reflection")
        _require(self.padding in known, self, f"padding one of {', '.join(known)}")
        _require_kornia()

    def _transform(self, images: Tensor, draws: Draws) -> Tensor:
        from kornia.geometry.transform import get_affine_matrix2d, warp_affine

        height, width = images.shape[2:]
        degrees = draws.uniform(low=-self.max_degrees, high=self.max_degrees)
        shares = draws.uniform(2, low=-self.max_translation, high=self.max_translation)
        factors = draws.uniform(low=self.min_scale, high=self.max_scale)
        if self.max_degrees == self.max_translation == 0 and self.min_scale == self.max_scale == 1:
            return images  # resampling in place would still round
        matrices = get_affine_matrix2d(
            shares.to(images) * images.new_tensor([width, height]),
            images.new_tensor([(width - 1) / 2, (height - 1) / 2]).expand(len(images), 2),
            factors.to(images)[:, None].expand(-1, 2),
            degrees.to(images),
        )
        warped: Tensor = warp_affine(
            images, matrices[:, :2], (height, width), padding_mode=self.padding
        )
        return warped.clamp(0, 1)


@dataclass(frozen=True)
class Flip(ImageTransform):
    """Mirror an image upside down (``vertical``) or left for right, with the given probability."""

    axis: Literal["vertical", "horizontal"] = "vertical"
    probability: float = 0.5

    def __post_init__(self) -> None:
        _require(self.axis in ("vertical", "horizontal"), self, "axis vertical or horizontal")
        _require(0 <= self.probability <= 1, self, "0 <= probability <= 1")

    def _transform(self, images: Tensor, draws: Draws) -> Tensor:
        flipped = (draws.uniform() < self.probability).to(images.device)  # (B,)
        mirrored = images.flip(2 if self.axis == "vertical" else 3)
        return torch.where(flipped[:, None, None, None], mirrored, images)


@dataclass(frozen=True)
class ColorJitter(ImageTransform):
    """Change brightness, then contrast, then hue. The defaults are those of the CR-VAE release.

    Brightness multiplies by a factor uniform on [1 - brightness, 1 + brightness), contrast scales
    by such a factor about the image's mean grey, hue turns the colour wheel by [-hue, hue) turns;
    values are cut to [0, 1] after each. An image of one channel has no hue to turn.
    """

    brightness: float = 0.2
    contrast: float = 0.5
    hue: float = 0.2

    def __post_init__(self) -> None:
        _require(0 <= self.brightness <= 1, self, "0 <= brightness <= 1")
        _require(0 <= self.contrast <= 1, self, "0 <= contrast <= 1")
        _require(0 <= self.hue <= 0.5, self, "0 <= hue <= 0.5")
        _require_kornia()

    def require_channels(self, channels: int) -> None:
        """Refuse images without a hue where the hue is to change."""
        if self.hue and channels != 3:
            raise ValueError(
                f"images of {channels} channels have no hue: set the hue of {self!r} to 0"
            )

    def _transform(self, images: Tensor, draws: Draws) -> Tensor:
        from kornia import enhance

        self.require_channels(images.shape[1])
        brightness = draws.uniform(low=1 - self.brightness, high=1 + self.brightness).to(images)
        contrast = draws.uniform(low=1 - self.contrast, high=1 + self.contrast).to(images)
        turns = draws.uniform(low=-self.hue, high=self.hue).to(images)
        if self.brightness:
            images = enhance.adjust_brightness_accumulative(images, brightness)
        if self.contrast:
            images = enhance.adjust_contrast_with_mean_subtraction(images, contrast)
        if self.hue:
            images = enhance.adjust_hue(images, 2 * math.pi * turns).clamp(0, 1)
        return images


@dataclass(frozen=True)
class RoundToLevels(ImageTransform):
    """Round to the nearest of the levels 0, 1/255, ... 1, which images are of before resampling.

    Between them a likelihood of discrete levels has no probabilities.
    """

    def _transform(self, images: Tensor, draws: Draws) -> Tensor:
        return (images * (LEVELS - 1)).round() / (LEVELS - 1)


@dataclass(frozen=True)
class ComposeImages(ImageTransform):
    """Apply transforms one after another; none is the identity."""

    transforms: Sequence[ImageTransform]

    def require_channels(self, channels: int) -> None:
        """Refuse what any of them refuses."""
        for transform in self.transforms:
            transform.require_channels(channels)

    def _transform(self, images: Tensor, draws: Draws) -> Tensor:
        for transform in self.transforms:
            images = transform(images, draws)
        return images


PUBLISHED_RANGES: dict[Strength, tuple[float, float, float, float]] = {
    "small": (15.0, 0.05, 0.9, 1.1),
    "large": (30.0, 0.10, 0.75, 1.25),
}
"""The two sets of an `Affine`'s ranges in the CR-VAE release (Sinha & Dieng 2021)."""


def published(
    strength: Strength = "small", flip: bool = False, color: bool = False
) -> ComposeImages:
    """The transforms of the CR-VAE release: affine, then flip and colour for sets that had them.

    Args:
        strength: the one of `PUBLISHED_RANGES` to use.
        flip: upside down with probability 0.5.
        color: brightness 0.2, contrast 0.5, hue 0.2.
    """
    transforms: list[ImageTransform] = [Affine(*PUBLISHED_RANGES[strength])]
    if flip:
        transforms.append(Flip())
    if color:
        transforms.append(ColorJitter())
    return ComposeImages(transforms)


TRANSFORMS: dict[str, Callable[..., ImageTransform]] = {
    "affine": Affine,
    "flip": Flip,
    "color_jitter": ColorJitter,
    "published": published,
}
"""By the names that configurations give them."""


def _require(holds: bool, transform: ImageTransform, bounds: str) -> None:
    if not holds:
        raise ValueError(f"{transform!r} is out of bounds: {bounds}")


def _require_kornia() -> None:
    """Say what is missing when a transform is made, rather than at its first batch."""
    if importlib.util.find_spec("kornia") is None:
        raise UserError("transforms of images need kornia: pip install 'pc-crvae[images]'")
