"""Cards: one YAML file a data set, saying what it is, where it comes from and how it is laid out.

A set whose layout is known takes a card and no code. This module imports no torch, so that
commands can list and check data sets at once.
"""

import difflib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PositiveInt, model_validator
from pydantic_core import PydanticKnownError

from pc_crvae.data.layouts import LAYOUTS, Modality
from pc_crvae.errors import UserError
from pc_crvae.utils.resources import resource_folder
from pc_crvae.utils.up_axes import Axis
from pc_crvae.utils.validation import StrictModel, validate
from pc_crvae.utils.yaml import read_yaml

Split = Literal["train", "validation", "test"]
"""Of a set; validation is one of its own only in a folder of one's own that has it as a folder."""

OfficialSplit = Literal["train", "test"]


def _known(layout: str) -> str:
    if layout not in LAYOUTS:
        *others, last = map(repr, LAYOUTS)
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})
    return layout


class Source(StrictModel):
    """A file to download; a checksum or size that nobody has published is null."""

    file: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", description="its name on disk")
    urls: list[Annotated[str, Field(pattern=r"^https?://")]] = Field(
        description="mirrors, tried in turn; none where the set is gated"
    )
    sha256: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    size: PositiveInt | None = Field(description="bytes")
    unpack: bool = Field(description="whether it is an archive that the reader wants unpacked")


class SplitCard(StrictModel):
    """One split: how many items the whole set has; for a generated set, also its seed."""

    count: PositiveInt | None = None
    seed: int | None = None


class ImageShape(StrictModel):
    """What an image is once it is read."""

    channels: PositiveInt
    height: PositiveInt
    width: PositiveInt


class Card(StrictModel):
    """What is known of a data set before any of it is read."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$", description="the stem of the card's file")
    title: str
    modality: Modality
    homepage: str | None
    licence: str
    redistributable: bool
    gated: bool = Field(description="whether it is asked for by hand, so never downloaded")
    citation: str | None
    sources: list[Source]
    manual_steps: str | None = Field(
        description="what to get or request by hand, and what to make of it"
    )
    layout: Annotated[
        str,
        AfterValidator(_known),
        Field(json_schema_extra=lambda schema: schema.update(enum=[*LAYOUTS])),
    ]
    variant: str | None = Field(None, description="which of several forms of the layout")
    folder: str | None = Field(description="its name under $PC_CRVAE_DATA")
    up: Axis | None = Field(None, description="the axis that points up in the files; of clouds")
    points: PositiveInt | None = Field(
        None,
        description="points a cloud: what its file holds, or what is drawn from a shape's file",
    )
    image: ImageShape | None = Field(None, description="null: as the files have it")
    classes: tuple[str, ...] = Field(
        description="none where the set has no labels, or folders of one's own name them"
    )
    splits: dict[OfficialSplit, SplitCard] = Field(min_length=1)
    split_rule: str = Field(description="how train and test are cut")
    with_shared_classes: str | None = Field(
        None, description="a set of the same files cut otherwise, where splits here share no class"
    )
    known_defects: list[str]
    notes: str

    @property
    def reads_files(self) -> bool:
        """Whether it lies on the disk; otherwise it is generated, or comes with a library."""
        return LAYOUTS[self.layout].reads_files

    @property
    def is_own(self) -> bool:
        """Whether it is a folder of one's own, whose files say what it holds."""
        return LAYOUTS[self.layout].origin == "own"

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        self._agrees_with_its_modality()
        self._states_what_its_layout_needs()
        for source in self.sources:
            if self.gated and source.urls:
                raise ValueError(
                    f"a gated set is never downloaded, so its source {source.file} has no urls"
                )
            if not self.gated and not source.urls:
                raise ValueError(
                    f"the source {source.file} needs a url (only a gated set has none)"
                )
        return self

    def _agrees_with_its_modality(self) -> None:
        if LAYOUTS[self.layout].holds != self.modality:
            raise ValueError(f"the layout {self.layout} does not hold {self.modality}")
        if self.modality == "points":
            if self.up is None or self.image is not None:
                raise ValueError("a set of points needs up, and takes no image")
        elif self.up is not None or self.points is not None:
            raise ValueError("a set of images takes neither up nor points")

    def _states_what_its_layout_needs(self) -> None:
        layout = LAYOUTS[self.layout]
        if not layout.reads_files:
            if self.folder is not None or self.sources:
                raise ValueError(
                    f"a set of the layout {self.layout} reads no files, so it has neither folder "
                    "nor sources"
                )
        elif layout.origin == "published" and None in (self.folder, self.manual_steps):
            raise ValueError("a set read from disk needs folder and manual_steps")
        if layout.origin == "generated":
            for split in self.splits:
                self.recipe(split)
        if layout.classes_of_card and not self.classes:
            raise ValueError(f"a set of the layout {self.layout} needs classes")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("two classes are equal")

    def require_split(self, split: Split) -> None:
        """Raise a `UserError` where the set has no such split.

        A folder of one's own may have one for validation, which its reader tells.
        """
        if split not in self.splits and not (split == "validation" and self.is_own):
            raise UserError(
                f"{self.name} has no split {split}: its card has {', '.join(self.splits)}"
            )

    def part(self, split: Split) -> SplitCard:
        """Return what the card states of a split; nothing of a validation folder of one's own."""
        return {str(name): part for name, part in self.splits.items()}.get(split, SplitCard())

    def recipe(self, split: Split) -> tuple[int, int, int]:
        """Return the count of clouds, the points of each and the seed that generate a split.

        Raises:
            ValueError: the card does not state them.
        """
        part = self.part(split)
        if self.points is None:
            raise ValueError("a generated set needs points")
        if part.count is None or part.seed is None:
            raise ValueError(f"the split {split} of a generated set needs count and seed")
        return part.count, self.points, part.seed

    def how_to_get(self) -> str:
        """Return, as the middle of a sentence, what a user does to get the files."""
        steps = [f"get {' or '.join(source.urls)}" for source in self.sources if source.urls]
        if self.manual_steps is not None:
            steps.append(self.manual_steps.rstrip("."))
        return ", ".join(steps)


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
