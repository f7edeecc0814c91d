"""``evaluate``: how well a model of images explains held-out ones, and what its latents hold."""

import argparse
from typing import TYPE_CHECKING, cast

from pc_crvae.cli.counting import counting
from pc_crvae.cli.endings import tell_files
from pc_crvae.cli.options import add_count, add_held_out, add_model_and_data, add_seed, add_shared
from pc_crvae.cli.saved import check_table, deliver_table, open_saved, report_path
from pc_crvae.utils.files import require_writable

if TYPE_CHECKING:
    from pc_crvae.data import ImageSet

DESCRIPTION = "Evaluate a model of images: likelihood, KLs, information, classifiers, pictures."

_PICTURES = {
    "reconstructions": "open this first: images, and what the model makes of them",
    "samples": "draws of the prior, decoded",
    "interpolations": "from the code of one image to that of another",
    "traversals": "one number of a code changed at a time",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_model_and_data(parser, of_clouds=False)
    add_shared(parser, "--json")
    add_held_out(parser)
    add_count(parser, "--samples", default=500)
    add_count(parser, "--items")
    add_count(parser, "--train-items", default=10000)
    add_seed(parser)
    add_shared(parser, "--table")


def run(options: argparse.Namespace) -> None:
    """Evaluate."""
    path = report_path(options, "evaluation")
    check_table(options)
    saved = open_saved(options)

    from pc_crvae.evaluation.images.consistency import transform_of
    from pc_crvae.evaluation.images.paper import table_of_images
    from pc_crvae.evaluation.images.pictures import save_pictures
    from pc_crvae.evaluation.images.protocol import ImageProtocol
    from pc_crvae.evaluation.images.report import format_images
    from pc_crvae.evaluation.images.run import evaluate_images

    model = saved.image_model
    require_writable(path)
    protocol = ImageProtocol(
        samples=options.samples,
        items=options.items,
        train_items=options.train_items,
        seed=options.seed,
    )
    train_set, held_out = cast("tuple[ImageSet, ImageSet]", saved.splits(options.split))
    transform, whose = transform_of(saved.config)
    with counting("parts of the images", protocol.steps(held_out)) as advance:
        report, observed = evaluate_images(
            model, train_set, held_out, protocol, transform, transform_from=whose, advance=advance
        )
    report = report.of_model(saved, options.which)
    report.write(path)
    print(format_images(report))
    tell_files({"report": (path, "every figure above, with the protocol")})
    deliver_table(options, lambda: table_of_images(report))
    by_dimension = report.kl_per_dimension
    pictures = save_pictures(model, observed, by_dimension, path, options.seed)
    tell_files({name: (picture, _PICTURES[name]) for name, picture in pictures.items()})
