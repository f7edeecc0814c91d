"""``data check``: a data set held against its card."""

import argparse
from dataclasses import asdict

from pc_crvae.cli.options import add_json, add_place
from pc_crvae.errors import UserError
from pc_crvae.utils.files import require_writable, write_json

DESCRIPTION = "Hold a data set against its card, and look for damage, copies and near-copies."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_place(parser)
    parser.add_argument("--strict", action="store_true")
    add_json(parser, "what is printed", "nowhere")


def run(options: argparse.Namespace) -> None:
    """Print what is found, and write it."""
    from pc_crvae.data.inspection.checks import check
    from pc_crvae.utils.templates import filled

    require_writable(options.json)
    root, up = options.data_root, options.up
    found = check(options.name, root=root, up=up, strict=options.strict, say=print)
    print(filled(__file__, "check.txt", **vars(found)))
    if options.json is not None:
        folder = None if found.folder is None else str(found.folder)
        write_json(options.json, asdict(found) | {"folder": folder, "defects": len(found.defects)})
    if found.defects:
        defects = "a defect" if len(found.defects) == 1 else f"{len(found.defects)} defects"
        raise UserError(f"{found.name} has {defects}, told above")
    print("no defects")
