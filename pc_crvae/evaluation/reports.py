"""Reports: what an evaluation found, as typed values that are written to JSON and read back."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from pc_crvae.data.items import ItemSet
from pc_crvae.errors import UserError
from pc_crvae.utils.files import write_json
from pc_crvae.utils.texts import texts_beside

if TYPE_CHECKING:
    from pc_crvae.runs.saved import SavedModel

_MOST_BYTES = 32 << 20


STRICT = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Part(BaseModel):
    """A part of a report: its fields are the keys in JSON, and those never set are left out."""

    model_config = STRICT

    def plain(self) -> dict[str, Any]:
        """The values as JSON has them, in the order of the fields."""
        return self.model_dump(mode="json", exclude_unset=True)


class Report(Part):
    """A whole report, which is a file."""

    def write(self, path: Path) -> None:
        """Write the report as JSON, whole or not at all.

        Raises:
            UserError: the file cannot be written.
        """
        write_json(path, self.plain())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a report.

        Raises:
            UserError: the file is missing or cannot be read, is damaged, or holds another report.
        """
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise damaged(path)
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}") from None
        except ValidationError:
            raise damaged(path) from None


def damaged(path: Path) -> UserError:
    """Return what to tell of a report that is not what its reader takes."""
    return UserError(f"{path} is damaged, or of another version: make it anew")


class Checkpoint(Part):
    """The state of a model that a report is of.

    Attributes:
        path: the folder of its export.
        which: the state of the run.
        weights_sha256: the SHA-256, in hex, of its weights; reports of 0.1 do not have it.
    """

    path: str
    which: Literal["last", "best"]
    weights_sha256: str | None = None


class DataCut(Part):
    """A split that a report is of, and its hash, which tells whether two hold the same data.

    Attributes:
        points_available: points of each cloud.
        shape: the shape of each image.
        sha256: the SHA-256 of all items, labels and ids.
    """

    name: str
    split: str
    count: int
    points_available: int | None = None
    shape: tuple[int, ...] | None = None
    classes: tuple[str, ...]
    sha256: str

    @classmethod
    def of(cls, items: ItemSet) -> Self:
        """Describe the split that ``items`` are."""
        _, *shape = items.array.shape
        known: dict[str, Any] = {"shape": tuple(shape)}
        if items.holds == "points":
            known = {"points_available": shape[0]}
        known |= {"classes": items.classes, "sha256": items.fingerprint()}
        return cls(name=items.name, split=items.split, count=len(items), **known)


class TrainAndTest(Part):
    """The splits that something was fitted on, and scored on."""

    train: DataCut
    test: DataCut

    @classmethod
    def of(cls, train: ItemSet, test: ItemSet) -> Self:
        """Describe both splits."""
        return cls(train=DataCut.of(train), test=DataCut.of(test))


class ModelReport(Report):
    """A report of a saved model, whose last fields are ``checkpoint`` and ``trained_on``."""

    def of_model(self, saved: "SavedModel", which: Literal["last", "best"]) -> Self:
        """Return the report with its model, and which state of the run that is."""
        checkpoint = Checkpoint(
            path=str(saved.folder), which=which, weights_sha256=saved.weights_sha256
        )
        trained_on = dict(saved.model.data)
        return self.model_copy(update={"checkpoint": checkpoint, "trained_on": trained_on})


def is_of_weights(checkpoint: Checkpoint | None, path: Path, export: Path) -> bool:
    """Whether a report measured the weights that an export holds now.

    Where it or the export does not say which those are, as of 0.1, the report has to be no older.

    Args:
        checkpoint: the state that the report is of, as it says.
        path: the file of the report.
        export: the folder of the weights.

    Raises:
        OSError: a file is missing.
        UserError: the export is damaged.
    """
    # Imported here because it brings torch, which features of anyone are probed without.
    from pc_crvae.models.exports import WEIGHTS, recorded_sha256

    told = None if checkpoint is None else checkpoint.weights_sha256
    known = recorded_sha256(export)
    if told is not None and known is not None:
        return told == known
    return path.stat().st_mtime_ns >= (export / WEIGHTS).stat().st_mtime_ns


def library_versions() -> dict[str, str]:
    """Return the version of Python and of the libraries that numbers depend on, by name."""
    libraries = ("torch", "numpy", "scipy", "scikit-learn")
    return {"python": platform.python_version(), **{name: version(name) for name in libraries}}


def in_words(evaluation: str) -> dict[str, Any]:
    """Return what the protocol of an evaluation means, by the names of its report's fields."""
    return {**texts_beside(__file__, "in_words.toml")[evaluation]}
