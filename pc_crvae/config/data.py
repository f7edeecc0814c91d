"""The part of the schema that says which items a model is trained on."""

import math
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Self, TypedDict

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from pc_crvae.config.sections import PositiveInt, Section
from pc_crvae.utils.up_axes import UpText


class Reading(TypedDict, total=False):
    """How the files of a set are read: arguments of :func:`pc_crvae.data.load`."""

    root: Path | None
    up: str | None
    allow_refused: bool
    drop_nan: bool


class _SetConfig(Section):
    """One data set, and where it lies."""

    name: str = "shapes"
    """a card's name, or the path of a card"""
    root: str | None = None
    """folder that holds the data; by default $PC_CRVAE_DATA/<the card's folder>, then
    datasets/<name>"""
    up: UpText | None = None
    """the source's up axis, where it is not the card's: x, y or z, or by suffix, such as
    glb=y,stl=z"""
    allow_refused: bool = False
    """of a set of many files: do without those that cannot be used"""
    drop_nan: bool = False
    """of a folder of clouds: leave out points that are NaN or infinite"""

    @property
    def reading(self) -> Reading:
        """What a loader is told of its files."""
        root = Path(self.root) if self.root else None
        return Reading(
            root=root, up=self.up, allow_refused=self.allow_refused, drop_nan=self.drop_nan
        )


class _Drawn(Section):
    """What is drawn of the items of a set, or of a mixture."""

    points: PositiveInt = 1024
    """points taken of each cloud, anew each epoch"""
    items_per_epoch: PositiveInt | None = None
    """items that an epoch goes through, of clouds; null: the whole training set, or of a set
    without an end what its card counts, or of a mixture as many as its finite sets have"""
    validation_fraction: float = Field(0.1, gt=0, lt=0.5)
    """share of the training split held out, by class, where the set has no folder for validation;
    of a set without an end, as many other items as that share of an epoch"""


class DataConfig(_Drawn, _SetConfig):
    """Which shapes."""

    @property
    def sets(self) -> "tuple[DataConfig | SharedSetConfig, ...]":
        """Every set."""
        return (self,)

    @property
    def share(self) -> float:
        """The share of an epoch's items: all."""
        return 1.0


class SharedSetConfig(_SetConfig):
    """One set of a mixture."""

    name: str
    """a card's name, or the path of a card"""
    share: float = Field(gt=0, lt=1)
    """of an epoch's items"""


class _Sets(Section):
    mixture: Annotated[tuple[SharedSetConfig, ...], Field(strict=False)]


class MixtureConfig(_Drawn, _Sets):
    """Sets of clouds, each with a share of every epoch; in YAML, their list alone will do."""

    @property
    def name(self) -> str:
        """The names of the sets."""
        return " + ".join(part.name for part in self.mixture)

    @property
    def sets(self) -> tuple[DataConfig | SharedSetConfig, ...]:
        """Every set."""
        return self.mixture

    @model_validator(mode="before")
    @classmethod
    def _leaves_to_its_sets_what_is_theirs(cls, values: Any) -> Any:
        theirs = [key for key in SharedSetConfig.model_fields if key in values]
        if theirs:
            raise ValueError(
                f"{theirs[0]} belongs to each set of a mixture: give it with the set, in the list"
            )
        return values

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if len(self.mixture) < 2:
            raise ValueError("a mixture has at least two sets: name a single one without a list")
        total = math.fsum(part.share for part in self.mixture)
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of a mixture sum to 1, and these to {total:.6g}")
        name, times = Counter(part.name for part in self.mixture).most_common(1)[0]
        if times > 1:
            raise ValueError(
                f"a mixture holds each set once, and this one holds {name} {times} times: add up "
                "its shares"
            )
        return self


def _kind_of_data(values: Any) -> str:
    if isinstance(values, dict):
        return "a mixture" if "mixture" in values else "one set"
    return "a mixture" if isinstance(values, MixtureConfig) else "one set"


def _from_list(values: Any) -> Any:
    return {"mixture": values} if isinstance(values, list | tuple) else values


DataChoice = Annotated[
    Annotated[DataConfig, Tag("one set")] | Annotated[MixtureConfig, Tag("a mixture")],
    Discriminator(_kind_of_data),
    BeforeValidator(
        _from_list,
        json_schema_input_type=DataConfig | MixtureConfig | tuple[SharedSetConfig, ...],
    ),
]
