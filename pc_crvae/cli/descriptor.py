"""``descriptor``: a model of hand-made features, which is fitted to a data set without labels."""

import argparse
from pathlib import Path
from shlex import quote

from pc_crvae.cli.saved import up_axes
from pc_crvae.errors import UserError
from pc_crvae.utils.files import require_writable
from pc_crvae.utils.up_axes import HELP

DESCRIPTION = "Make a model of hand-made features of point clouds, which needs no training."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "kind",
        metavar="KIND",
        choices=("octants", "bps", "bps+octants"),
        help="octants: statistics of local geometry in regions; bps: distances to basis points; "
        "or both side by side",
    )
    parser.add_argument(
        "--data",
        required=True,
        metavar="CARD",
        help="name or path of the card of the data set whose training split it is fitted to",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the model to write"
    )
    parser.add_argument(
        "--frames",
        choices=("z", "so3"),
        help="rotations that are not to matter, about the vertical or any (default: all matter)",
    )
    parser.add_argument(
        "--data-root",
        type=Path,
        metavar="DIR",
        help="folder of the data (default: where it is looked for)",
    )
    parser.add_argument(
        "--up",
        type=up_axes,
        metavar="AXIS",
        help=f"the data's up axis, {HELP} (default: the card's)",
    )


def run(options: argparse.Namespace) -> None:
    """Fit and save."""
    import torch

    from pc_crvae.data import load_clouds
    from pc_crvae.models.descriptors.descriptor import Descriptor
    from pc_crvae.models.pretrained import EXPORT_FILES, write_export

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
    place = "" if options.data_root is None else f" --data-root {quote(str(options.data_root))}"
    print(
        f"descriptor: {options.out}, {model.latent_dim:,} features of {model.points:,} points; "
        f"next: python tools/probe.py --ckpt {quote(str(options.out))}{place}"
    )
