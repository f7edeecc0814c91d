"""``train``: train a model as a configuration says."""

import argparse
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from pc_crvae.config import Config, find_config, load_config, with_absolute_paths
from pc_crvae.errors import UserError
from pc_crvae.utils.processes import is_main_process, parting

if TYPE_CHECKING:
    import numpy as np

    from pc_crvae.data import CloudSet, ImageSet, ItemSet
    from pc_crvae.models.pretrained import Pretrained
    from pc_crvae.runs.folder import Run
    from pc_crvae.training.loop import Watchers

DESCRIPTION = "Train a model as a configuration says."
_PICTURED = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="a YAML file, such as configs/quickstart.yaml"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="section.key=value",
        help="values to use instead of the file's, such as training.epochs=10",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="folder of the run (default: runs/<name of the config>)",
        default=argparse.SUPPRESS,
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in the folder")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in the folder")


def run(options: argparse.Namespace) -> None:
    """Train."""
    if options.resume and options.overwrite:
        raise UserError("--resume goes on with a run and --overwrite replaces it: give one")
    config = load_config(find_config(options.config), options.overrides)
    config = with_absolute_paths(config)
    folder: Path = getattr(options, "out", None) or Path("runs") / options.config.stem

    from pc_crvae.runs.folder import Run
    from pc_crvae.training.loop import train
    from pc_crvae.utils.interruption import Interrupted

    run = Run(folder)
    if run.exists and not options.resume and not options.overwrite:
        run.refuse()
    train_set, validation_set = load_splits(config)
    try:
        with parting():
            train(
                config,
                run,
                train_set,
                validation_set,
                _watchers(config, run, train_set, validation_set),
                resume=options.resume,
                overwrite=options.overwrite,
            )
    except Interrupted as interrupted:
        if is_main_process():
            print(interrupted, file=sys.stderr)
        sys.exit(128 + interrupted.signal_number)
    if is_main_process():
        print(f"trained: {folder}{_what_next(folder, train_set)}")


def _what_next(folder: Path, train_set: "CloudSet | ImageSet") -> str:
    """What can be done with a run: images have a likelihood, a probe needs two classes."""
    if train_set.holds == "images":
        tool = "evaluate"
    elif train_set.labels is not None and len(set(train_set.labels.tolist())) > 1:
        tool = "probe"
    else:
        tool = "embed"
    return f"; next: python tools/{tool}.py --ckpt {quote(str(folder))}"


def load_splits(config: Config) -> tuple["CloudSet | ImageSet", "CloudSet | ImageSet"]:
    """The training split less its validation part, and that part."""
    from pc_crvae.data import load, split_validation

    data = config.data
    official = load(
        data.name,
        "train",
        root=Path(data.root) if data.root else None,
        up=data.up,
        allow_refused=data.allow_refused,
    )
    return split_validation(official, data.validation_fraction)


def _watchers(
    config: Config, run: "Run", train_set: "ItemSet", validation_set: "ItemSet"
) -> "Watchers":
    """A validation probe, where there are labels, and a picture of reconstructions."""
    import numpy as np
    import torch
    from matplotlib.image import imsave

    from pc_crvae.data.batches import batch_of
    from pc_crvae.data.clouds import CloudSet
    from pc_crvae.evaluation.probe.run import validation_probe
    from pc_crvae.training.loop import Watchers
    from pc_crvae.utils.files import atomic_path
    from pc_crvae.visualization.image_grid import image_grid
    from pc_crvae.visualization.pictures import cloud_grid_image

    def batch(items: "ItemSet", indices: "np.ndarray") -> torch.Tensor:
        return torch.from_numpy(
            batch_of(items, indices, config.data.points, "watched", config.seed)
        )

    def picture(model: "Pretrained", epoch: int) -> "np.ndarray":
        inputs = batch(validation_set, _one_of_each_class(validation_set)[:_PICTURED])
        rows = [inputs.numpy(), model.reconstructions(inputs).numpy()]
        if isinstance(validation_set, CloudSet):
            titles = ["input", "reconstruction"]
            image = cloud_grid_image([list(row) for row in rows], row_titles=titles)
        else:
            image = image_grid(rows)
        with atomic_path(run.pictures / f"epoch-{epoch:04d}.png") as temporary:
            imsave(temporary, image)
        return image

    labels, validation_labels = train_set.labels, validation_set.labels
    if labels is None or validation_labels is None or len(np.unique(labels)) < 2:
        if config.logging.probe_every_epochs and is_main_process():
            lacks = "no labels" if labels is None else "a single class"
            print(f"{train_set.name} has {lacks}: training goes on without the validation probe")
        return Watchers(picture=picture)

    def accuracy(model: "Pretrained") -> float:
        features, validation_features = (
            model.encode(batch(items, np.arange(len(items)))).numpy()
            for items in (train_set, validation_set)
        )
        return validation_probe(features, labels, validation_features, validation_labels)

    return Watchers(probe=accuracy, picture=picture)


def _one_of_each_class(items: "ItemSet") -> "np.ndarray":
    """All indices, the first of each class before the seconds, and so on."""
    import numpy as np

    labels = np.zeros(len(items), dtype=int) if items.labels is None else items.labels
    rank = np.zeros(len(items), dtype=int)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rank[members] = np.arange(len(members))
    return np.argsort(rank, kind="stable")
