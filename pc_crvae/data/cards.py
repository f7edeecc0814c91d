"""Cards: one YAML file a data set, saying what it is, where it comes from and how it is laid out.

A set whose layout is known takes a card and no code. This module imports no torch, so that
commands can list and check data sets at once.
"""

import difflib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from pc_crvae.errors import UserError
from pc_crvae.resources import resource_folder
from pc_crvae.validation import validate
from pc_crvae.yaml_files import read_yaml

Split = Literal["train", "test"]
Axis = Literal["x", "y", "z"]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Source(_Part):
    """A file to download; a checksum or size that nobody has published is null."""

    url: str = Field(pattern=r"^https?://")
    sha256: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    size: PositiveInt | None = Field(description="bytes")


class SplitCard(_Part):
    """One split: how many items the whole set has; for a generated set, also its seed."""

    count: PositiveInt | None = None
    seed: int | None = None


class Card(_Part):
    """What is known of a data set before any of it is read."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$", description="the stem of the card's file")
    title: str
    modality: Literal["points"]
    homepage: str | None
    licence: str
    redistributable: bool
    citation: str | None
    sources: list[Source]
    manual_steps: str | None = Field(description="what is done by hand with the sources")
    layout: Literal["shapes", "modelnet_hdf5"]
    folder: str | None = Field(description="its name under $PC_CRVAE_DATA and in the archive")
    up: Axis = Field(description="the axis that points up in the files")
    points: PositiveInt = Field(description="points a cloud")
    classes: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    splits: dict[Split, SplitCard]
    known_defects: list[str]
    notes: str

    @model_validator(mode="after")
    def _states_what_its_layout_needs(self) -> Self:
        if self.layout == "shapes":
            for split in self.splits:
                self.recipe(split)
        elif self.folder is None or self.manual_steps is None or not self.sources:
            raise ValueError("a set read from disk needs folder, sources and manual_steps")
        return self

    def recipe(self, split: Split) -> tuple[int, int]:
        """Return the count and the seed that generate a split.

        Raises:
            ValueError: the card does not state them.
        """
        part = self.splits[split]
        if part.count is None or part.seed is None:
            raise ValueError(f"the split {split} of a generated set needs count and seed")
        return part.count, part.seed


def card_names() -> list[str]:
    """Return the names of the cards that come with the package, sorted."""
    return sorted(path.stem for path in resource_folder("datasets").glob("*.yaml"))


def load_card(name_or_path: str | Path) -> Card:
    """Load a card by its name, or a card of one's own by the path of its YAML file.

    Raises:
        UserError: no card has that name (the nearest is offered), or the file is missing,
            is not YAML or strays from the schema.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = _path_of(str(name_or_path))
    return validate(Card, {"name": path.stem} | read_yaml(path), str(path))


def _path_of(name: str) -> Path:
    names = card_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        question = f", did you mean {near[0]}" if near else ""
        raise UserError(
            f"no data set is called {name}{question} (the names are {', '.join(names)}; "
            "a card of your own is given by its path, ending in .yaml)"
        )
    return resource_folder("datasets") / f"{name}.yaml"
