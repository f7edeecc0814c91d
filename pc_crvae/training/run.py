"""A whole run: from a configuration and a folder to a trained model in it."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from pc_crvae.config import Config, with_absolute_paths
from pc_crvae.data import CloudSet, ImageSet
from pc_crvae.errors import UserError
from pc_crvae.models.pretrained import Pretrained
from pc_crvae.runs.folder import Run
from pc_crvae.runs.saved import load_splits
from pc_crvae.training.build import build_transform
from pc_crvae.training.callbacks import Callbacks
from pc_crvae.training.initialization import Origin
from pc_crvae.training.loop import train
from pc_crvae.utils.processes import is_main_process, parting


@dataclass(frozen=True)
class Trained:
    """What training left.

    Attributes:
        run: the folder of the run.
        model: the exported model, in the mode it was trained in.
        train_set: the items that it was trained on.
        validation_set: the items that were held out of them.
    """

    run: Run
    model: Pretrained
    train_set: CloudSet | ImageSet
    validation_set: CloudSet | ImageSet


def run_training(
    config: Config, out: Path, *, resume: bool = False, overwrite: bool = False
) -> Trained:
    """Load the data that ``config`` names and train on it, with a probe and pictures.

    Args:
        config: the experiment.
        out: folder of the run.
        resume: go on with the run in the folder.
        overwrite: replace the run in the folder.

    Raises:
        UserError: on a package that is missing, data that cannot be loaded, a run that is there,
            cannot go on or is written to by another process, too few items, or a term that is not
            finite.
        Interrupted: on SIGINT or SIGTERM, once the state is saved.
    """
    if resume and overwrite:
        raise UserError(
            "to resume a run is to go on with it, to overwrite it to replace it: give one"
        )
    config = with_absolute_paths(config)
    run = Run(out)
    if resume:
        run.require_run()
    else:
        run.require_free(overwrite=overwrite)
    # One lock for all processes of a training: the main one's, which alone writes.
    with run.writing() if is_main_process() else nullcontext() as note:
        if config.consistency is not None:
            build_transform(config, config.consistency)  # a missing package is told first
        if config.init is not None and not resume:
            Origin.read(config.init)  # a missing one is refused at once
        sets = load_splits(config)
        callbacks = Callbacks.of_run(config, run, *sets).with_note(note)
        with parting():
            model = train(config, run, *sets, callbacks, resume=resume, overwrite=overwrite)
    return Trained(run, model, *sets)
