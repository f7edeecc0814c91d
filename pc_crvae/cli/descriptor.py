"""``descriptor``: a model of hand-made features, which is fitted to a data set without labels."""

import argparse
from pathlib import Path

from pc_crvae.cli.options import add_data, add_data_root, add_out, add_up
from pc_crvae.errors import UserError
from pc_crvae.utils.files import require_writable
from pc_crvae.utils.invocation import called

DESCRIPTION = "Make a model of hand-made features of point clouds, which needs no training."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("kind", metavar="KIND", choices=("octants", "bps", "bps+octants"))
    add_data(parser, "the data set to fit it to, by its training split", None)
    add_data_root(parser, "the folder that data list shows")
    add_up(parser, "the data", "the card's")
    add_out(parser, "folder of the model to write", None)
    parser.add_argument("--frames", choices=("z", "so3"))


def run(options: argparse.Namespace) -> None:
    """Fit and save."""
    import torch

    from pc_crvae.data import load_clouds
    from pc_crvae.models.descriptors.descriptor import Descriptor
    from pc_crvae.models.exports import EXPORT_FILES, write_export

    if any((options.out / name).exists() for name in EXPORT_FILES):
        raise UserError(f"{options.out} holds a model already: name another folder by --out")
    require_writable(options.out / EXPORT_FILES[0])
    train = load_clouds(options.data, "train", root=options.data_root, up=options.up)
    card = Path(options.data)  # of one's own, it is to be found from any folder
    name = str(card.absolute()) if card.is_file() else options.data
    model = Descriptor(options.kind, frames=options.frames, data={"name": name, "up": options.up})
    model.points = min(model.points, train.points.shape[1])
    clouds = train.batch(range(len(train)), model.points, "descriptor")
    model.fit(torch.from_numpy(clouds))
    write_export(model, options.out)
    place = () if options.data_root is None else ("--data-root", options.data_root)
    print(f"descriptor: {options.out}, {model.latent_dim:,} features of {model.points:,} points")
    if train.labels is not None:
        line = called("probe", "--ckpt", options.out, *place)
        print(f"next, how good its vectors are: {line}")
