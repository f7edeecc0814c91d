"""What looks at the model every few epochs: a probe and a picture. None changes the training."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from matplotlib.image import imsave
from numpy.typing import NDArray
from torch import Tensor

from pc_crvae.config import Config
from pc_crvae.data.clouds import CloudSet
from pc_crvae.data.items import ItemSet
from pc_crvae.evaluation.probe.run import validation_probe
from pc_crvae.models.pretrained import Pretrained
from pc_crvae.runs.folder import Run
from pc_crvae.training.collapse import decoding_notes
from pc_crvae.training.distributed import ALONE, Sharing
from pc_crvae.utils.files import atomic_path
from pc_crvae.visualization.contact_sheet import Tile, sheet_pixels

_PICTURED = 8


@dataclass(frozen=True)
class Callbacks:
    """What training calls in its main process, but for the probe, which all processes share.

    Attributes:
        probe: the accuracy in [0, 1] of a cheap probe on the validation split; in processes other
            than the main one it only encodes a share of the items, and returns None.
        picture: an image (H, W, 3) uint8 of inputs beside reconstructions, which it also
            writes for the given epoch.
        note: the line printed at the start about callbacks that are missing.
        at_end: the warning about the trained model, None where there is none.
    """

    probe: Callable[[Pretrained, Sharing], float | None] | None = None
    picture: Callable[[Pretrained, int], NDArray[np.uint8]] | None = None
    note: str | None = None
    at_end: Callable[[Pretrained], str | None] | None = None

    @classmethod
    def of_run(
        cls, config: Config, run: Run, train_set: ItemSet, validation_set: ItemSet
    ) -> "Callbacks":
        """A picture of reconstructions and, where there are classes, a probe."""
        notes: list[str] = []
        probe = picture = None
        if config.decodes:
            picture = Reconstructions(config, run, validation_set)
        else:
            notes.append(
                "objective.weight is 0, so nothing is decoded: the decoder is not trained, and "
                "what it makes of latents means nothing"
            )
        labels, held_out = train_set.labels, validation_set.labels
        unseen = labels is not None and held_out is not None and not np.isin(held_out, labels).all()
        several = labels is not None and held_out is not None and len(np.unique(labels)) > 1
        if several and not unseen:
            probe = ValidationProbe(config, train_set, validation_set)
        elif config.logging.probe_every_epochs:
            has = "no labels" if labels is None else "a single class"
            if unseen:
                has = "classes in validation that are not trained on"
            notes.append(
                f"{train_set.name} has {has}: training goes on without the validation probe"
            )
        at_end = partial(decoding_notes, config, train_set=train_set, validation_set=validation_set)
        return cls(probe, picture, "\n".join(notes) or None, at_end)

    def with_note(self, note: str | None) -> "Callbacks":
        """The same, with one more note where there is one."""
        notes = [text for text in (self.note, note) if text]
        return replace(self, note="\n".join(notes) or None)


@dataclass(frozen=True)
class ValidationProbe:
    """Accuracy on the validation split of a probe fitted on the training split.

    Attributes:
        config: the experiment.
        train_set: items with labels.
        validation_set: items with labels.
    """

    config: Config
    train_set: ItemSet
    validation_set: ItemSet

    def __call__(self, model: Pretrained, sharing: Sharing = ALONE) -> float | None:
        """Embed both splits by ``model``, as its users will, and probe in the main process.

        Args:
            model: the model that embeds.
            sharing: the processes that embed a share each.
        """
        train, validation = self.train_set, self.validation_set
        features, validation_features = (
            self._features(model, items, sharing) for items in (train, validation)
        )
        with sharing.failing_together():
            if not sharing.is_main:
                return None
            assert train.labels is not None
            assert validation.labels is not None
            return validation_probe(features, train.labels, validation_features, validation.labels)

    def _features(self, model: Pretrained, items: ItemSet, sharing: Sharing) -> NDArray[np.float32]:
        """All items' features, (n, d) in the main process."""
        with sharing.failing_together():
            own = np.arange(len(items))[sharing.share(len(items))]
            vectors = torch.empty(0)
            if len(own):
                vectors = model.vectors(_batch(self.config, items, own)).reshape(-1)
        gathered = sharing.gather(vectors)
        if not gathered:
            return np.empty((0, 0), np.float32)
        return torch.cat(gathered).reshape(len(items), -1).numpy()


@dataclass(frozen=True)
class Reconstructions:
    """A picture of a few items of each class above what the model makes of them.

    Attributes:
        config: the experiment.
        run: keeps the pictures.
        validation_set: the items that are pictured.
    """

    config: Config
    run: Run
    validation_set: ItemSet

    def __call__(self, model: Pretrained, epoch: int) -> NDArray[np.uint8]:
        """Draw, write the picture of ``epoch``, and return it: (H, W, 3)."""
        self.run.require_there()
        pictured = self.validation_set.one_of_each_class_first()[:_PICTURED]
        inputs = _batch(self.config, self.validation_set, pictured)
        made = model.reconstructions(inputs).numpy()
        names = [self.validation_set.ids[item] for item in pictured]
        given = [
            Tile(name, item, self.validation_set.class_of(place))
            for name, item, place in zip(names, inputs.numpy(), pictured, strict=True)
        ]
        if not isinstance(self.validation_set, CloudSet):
            made = np.nan_to_num(np.clip(made, 0, 1))
        rows = [given, [Tile(name, item) for name, item in zip(names, made, strict=True)]]
        image = sheet_pixels(rows, row_titles=["input", "reconstruction"])
        with atomic_path(self.run.pictures / f"epoch-{epoch:04d}.png") as temporary:
            imsave(temporary, image)
        return image


def _batch(config: Config, items: ItemSet, indices: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(items.batch(indices, config.data.points, "watched", config.seed))
