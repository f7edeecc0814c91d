"""Encoders and decoders by the names that configurations give them."""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from torch import Tensor, nn

if TYPE_CHECKING:
    from pc_crvae.models.points.encoder import PointEncoder


class Encoder(Protocol):
    """From observations to pooled features."""

    out_features: int
    """Width of the pooled features."""

    def __call__(self, x: Tensor) -> Tensor:
        """Encode a batch to features (B, out_features)."""


Made = TypeVar("Made", covariant=True)


class Registry(Generic[Made]):
    """Classes by name, each registered where it is defined.

    The arguments of a class are the fields of its section of the configuration, by the same
    names. A class that comes with the package lies in the module that has its name.

    Args:
        package: the package of the modules, such as ``pc_crvae.models.points``.
    """

    def __init__(self, package: str) -> None:
        self._package = package
        self._classes: dict[str, type[Made]] = {}

    def register(self, name: str) -> Callable[[type[Made]], type[Made]]:
        """A decorator that enters a class under ``name``."""

        def enter(made: type[Made]) -> type[Made]:
            self._classes[name] = made
            return made

        return enter

    def __getitem__(self, name: str) -> Callable[..., Made]:
        """The class of this ``name``."""
        if name not in self._classes:
            importlib.import_module(f"{self._package}.{name}")
        return self._classes[name]


POINT_ENCODERS: "Registry[PointEncoder]" = Registry("pc_crvae.models.points")
POINT_DECODERS: Registry[nn.Module] = Registry("pc_crvae.models.points")
IMAGE_ENCODERS: Registry[Encoder] = Registry("pc_crvae.models.images")
IMAGE_DECODERS: Registry[nn.Module] = Registry("pc_crvae.models.images")
