"""A saved model and the data that it is used on: of a run, a checkpoint or an export alone."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import torch

from pc_crvae.config import Config, MixtureConfig
from pc_crvae.config.data import Reading
from pc_crvae.data import CloudSet, ImageSet, load, load_training
from pc_crvae.data.cache.damage import verified
from pc_crvae.data.cards import Split, load_card
from pc_crvae.data.streams import is_endless, load_streamed
from pc_crvae.errors import UserError
from pc_crvae.models.descriptors.descriptor import Descriptor
from pc_crvae.models.exports import SavedExport, recorded_sha256
from pc_crvae.models.images.nvae.pretrained import PretrainedNVAE
from pc_crvae.models.images.vae import ImageVAE
from pc_crvae.models.points.model import PointModel
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.models.pretrained import Pretrained
from pc_crvae.runs.finding import find_export, find_run_config
from pc_crvae.runs.folder import Which
from pc_crvae.utils.invocation import called
from pc_crvae.utils.resources import shadowing_note, shipped_model

CLASSES: dict[str, type[Pretrained]] = {
    model_class.__name__: model_class
    for model_class in (PointVAE, ImageVAE, PretrainedNVAE, Descriptor)
}
"""Models that exports hold, by the name of their class."""


def read_model(folder: Path) -> Pretrained:
    """Read the model that an export holds, in evaluation mode, on the CPU.

    Raises:
        UserError: if a file is missing or damaged, or holds something else.
    """
    return _read(folder)[1]


def read_saved(path: Path, which: Which = "last") -> tuple[SavedExport, Pretrained]:
    """Read the files of a saved model, and the model, in evaluation mode, on the CPU.

    Args:
        path: the saved model, as `find_export` takes it.
        which: the state of a run.

    Raises:
        UserError: there is no model, or it is damaged.
    """
    if shipped_model(path) is not None:
        folder = find_export(path, which)
        try:
            return _read(folder)
        except UserError as error:
            raise UserError(
                f"the model {path}, which comes with the package, is damaged ({error}): install "
                "pc-crvae again, by pip install --force-reinstall --no-deps pc-crvae"
            ) from error
    with suppress(UserError):
        return _read(find_export(path, which))
    return _read(find_export(path, which))  # a run may have saved meanwhile


@dataclass(frozen=True)
class SavedModel:
    """A saved model and where the data it is to be used on lies.

    Attributes:
        model: the model, in evaluation mode.
        folder: the export it was read from.
        weights_sha256: the SHA-256, in hex, of the weights that were read: which model it is.
        config: the config of the run that the export lies in, None where it lies in none.
        card: name or path of the data set's card, None where nothing says it.
        reading: how the files of the data are read, and where they lie.
        note: a sentence for the user, where another model has the name that was taken as a path.
    """

    model: Pretrained
    folder: Path
    weights_sha256: str
    config: Config | None
    card: str | None
    reading: Reading
    note: str | None = None

    @classmethod
    def open(
        cls,
        path: str | Path,
        which: Which = "last",
        *,
        device: Literal["auto", "cpu"] = "cpu",
        card: str | None = None,
        root: Path | None = None,
        up: str | None = None,
    ) -> Self:
        """Read a model; of its own data, what is not given is as it was in training.

        Args:
            path: a run's folder, a checkpoint's, or that of a saved export; or the name of a model
                that comes with the package, where there is no such path.
            which: which state of a run, the last or the best by the validation objective.
            device: ``auto`` is a GPU where there is one.
            card: name or path of the data set's card, by default what the model was trained on.
            root: folder of the data.
            up: the source's up axis.

        Raises:
            UserError: if there is no model, or it is damaged.
        """
        export, model = read_saved(Path(path), which)
        if device == "auto" and torch.cuda.is_available():
            model.to("cuda")
        config = find_run_config(export.folder)
        trained_on = model.data.get("name")
        card = card or trained_on
        reading = Reading(root=None, up=None)
        for one in config.data.sets if config is not None else ():
            if card == one.name:
                reading = one.reading
        reading["root"] = root or reading["root"]
        of_training = model.data.get("up") if card == trained_on else None
        reading["up"] = up or of_training or reading["up"]
        if reading["up"] is None and card is not None and card == trained_on:
            reading["up"] = _up_before_formats(export.folder, card)
        where = export.folder, export.weights_sha256
        return cls(model, *where, config, card, reading, shadowing_note(Path(path)))

    @property
    def root(self) -> Path | None:
        """The folder of the data, None for where it is looked for by default."""
        return self.reading["root"]

    @property
    def up(self) -> str | None:
        """The source's up axis, None for the card's."""
        return self.reading["up"]

    @property
    def data(self) -> str:
        """Name or path of the data set's card.

        Raises:
            UserError: nothing says which.
        """
        if self.card is None:
            raise UserError(f"{self.folder} does not say what data it is for: name a data set")
        return self.card

    @property
    def trained_on(self) -> str:
        """What the model was trained on, in words: the card's name or path, or the mixture's."""
        name, mixture = self.model.data.get("name"), self.model.data.get("mixture")
        if mixture:
            parts = [f"{part} ({share:g})" for part, share in mixture.items()]
            return f"a mixture of {', '.join(parts)}"
        return name or "data that it does not name"

    @property
    def point_model(self) -> PointModel:
        """The model, where shapes are needed for what is done with it.

        Raises:
            UserError: it is a model of images.
        """
        if not isinstance(self.model, PointModel):
            raise UserError(
                f"{self.folder} holds a {type(self.model).__name__}, a model of images, and this "
                "is for models of point clouds"
            )
        return self.model

    @property
    def point_vae(self) -> PointVAE:
        """The model, where shapes are to be decoded or their encoder was trained.

        Raises:
            UserError: it is a model of images, or a descriptor.
        """
        model = self.point_model
        if not isinstance(model, PointVAE):
            raise UserError(
                f"{self.folder} holds a {type(model).__name__}, and this is for trained models: "
                "a descriptor encodes and does not decode"
            )
        return model

    @property
    def image_model(self) -> ImageVAE | PretrainedNVAE:
        """The model, where it is one of images.

        Raises:
            UserError: it is one of points.
        """
        if not isinstance(self.model, ImageVAE | PretrainedNVAE):
            raise UserError(
                f"{self.folder} holds a {type(self.model).__name__}, which has no normalised "
                "likelihood, and this command is for models of images: measure it with "
                f"{called('generation')} and {called('probe')}"
            )
        return self.model

    def split(self, split: Split) -> CloudSet | ImageSet:
        """Load one official split of the data.

        Raises:
            UserError: it cannot be loaded, or the model has the other modality, or takes images of
                another shape.
        """
        items = verified(lambda: load(self.data, split, **self.reading))
        if isinstance(items, CloudSet) != isinstance(self.model, PointModel):
            raise UserError(
                f"{items.name} holds {items.holds}, and {self.folder} a "
                f"{type(self.model).__name__}: name another data set"
            )
        taken = getattr(self.model, "shape", None)
        if isinstance(items, ImageSet) and items.images.shape[1:] != taken:
            raise UserError(
                f"the images of {items.name} are {_shape(items.images.shape[1:])}, and "
                f"{self.folder} holds a model of images of {_shape(taken)}: name another data set"
            )
        return items

    def clouds(self, split: Split) -> CloudSet:
        """Load one official split of the data, for a model of clouds.

        Raises:
            UserError: as `split`, or the model is one of images.
        """
        _ = self.point_model
        items = self.split(split)
        assert isinstance(items, CloudSet)
        return items

    def splits(
        self, held_out: Literal["test", "validation"]
    ) -> tuple[CloudSet | ImageSet, CloudSet | ImageSet]:
        """Load what classifiers are fitted on, and what the model is measured on.

        Args:
            held_out: ``test``, or what the model's own training held out.

        Raises:
            UserError: they cannot be loaded, or the training held nothing out of these data.
        """
        if held_out == "test":
            return self.split("train"), self.split("test")
        if self.config is None or self.card != self.model.data.get("name"):
            why = f"{self.folder} lies in no run" if self.config is None else "these are other data"
            raise UserError(
                f"the validation split is what the model's own training held out, and {why}: take "
                "the test split"
            )
        return self.training_splits()

    def training_splits(self) -> tuple[CloudSet | ImageSet, CloudSet | ImageSet]:
        """What the run trained on, and what its best state was chosen on.

        Of one finite set it is every item once, whatever part of it an epoch goes through: with
        ``data.items_per_epoch`` copies of an item would lie in several folds of a probe.

        Raises:
            UserError: the export lies in no run, or the data cannot be loaded.
        """
        if self.config is None:
            raise UserError(f"{self.folder} is no run, whose config says what it was validated on")
        data = self.config.data
        if isinstance(data, MixtureConfig) or is_endless(data.name):
            return load_splits(self.config)
        return load_training(data.name, data.validation_fraction, **self.reading)


def load_splits(config: Config) -> tuple[CloudSet | ImageSet, CloudSet | ImageSet]:
    """Load what a run is trained on, and what validates it: see :func:`load_training`.

    A set without an end, a mixture, and a set of ``data.items_per_epoch`` differ from epoch to
    epoch.

    Raises:
        UserError: the data cannot be loaded.
    """
    data = config.data
    if isinstance(data, MixtureConfig) or data.items_per_epoch is not None or is_endless(data.name):
        return load_streamed(data, config.seed)
    return load_training(data.name, data.validation_fraction, **data.reading)


def _read(folder: Path) -> tuple[SavedExport, Pretrained]:
    export = SavedExport.read(folder)
    if export.model_class not in CLASSES:
        raise UserError(
            f"{export.folder} holds a model of the class {export.model_class or '(none given)'}, "
            f"and this version of pc_crvae reads {', '.join(CLASSES)}"
        )
    return export, export.read_as(CLASSES[export.model_class])


def _up_before_formats(export: Path, card: str) -> str | None:
    """The axis of all files that a model of 0.1 was trained on; None where formats say their own.

    That version read glTF as the card says, and its exports are those without digests.
    """
    if recorded_sha256(export) is not None:
        return None
    with suppress(UserError):  # a card that is gone is told when data is asked for
        own = load_card(card)
        if own.is_own and own.modality == "points":
            return own.up
    return None


def _shape(shape: tuple[int, ...] | None) -> str:
    return " x ".join(map(str, shape or ()))
