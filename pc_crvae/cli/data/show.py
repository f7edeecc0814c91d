"""``data show``: what is known of a data set."""

import argparse
import textwrap
from typing import TYPE_CHECKING

from pc_crvae.cli.data.sets import found_root, where_without_files
from pc_crvae.cli.options import add_json, add_name
from pc_crvae.utils.files import require_writable, write_json

if TYPE_CHECKING:
    from pc_crvae.data.cards import Card

DESCRIPTION = (
    "Show the licence, the citation, the sources, the splits and the defects of a data set."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_name(parser)
    add_json(parser, "what is printed", "nowhere")


def run(options: argparse.Namespace) -> None:
    """Print what its card says, and write it."""
    from pc_crvae.data.cards import load_card

    if options.json is not None:
        require_writable(options.json)
    card = load_card(options.name)
    found = found_root(card)
    counts = ", ".join(
        f"{split} {part.count:,}" if part.count else f"{split} (not published)"
        for split, part in card.splits.items()
    )
    facts = {
        "name": card.name,
        "title": card.title,
        "holds": _holds(card),
        "homepage": card.homepage,
        "licence": card.licence,
        "passing on": _passing_on(card),
        "citation": card.citation,
        "here": str(found) if found else where_without_files(card),
        "folder": card.folder and f"{card.folder} in $PC_CRVAE_DATA, or datasets/{card.name}",
        "layout": card.layout + (f", variant {card.variant}" if card.variant else ""),
        "splits": counts if card.reads_files and card.folder else None,
        "split rule": card.split_rule,
        "classes": f"{len(card.classes)}: {', '.join(card.classes)}" if card.classes else None,
        "gated": "yes: it is asked for by hand and never downloaded" if card.gated else None,
        "by hand": card.manual_steps,
    }
    for label, fact in facts.items():
        if fact:
            _print_fact(label, fact)
    for source in card.sources:
        size = "size not published" if source.size is None else f"{source.size:,} bytes"
        known = f"sha256 {source.sha256}" if source.sha256 else "no checksum published"
        _print_fact("file", f"{source.file}: {size}, {known}")
        for url in source.urls:
            _print_fact("from", url)
    for defect in card.known_defects:
        _print_fact("beware", defect)
    _print_fact("notes", card.notes)
    if options.json is not None:
        values = card.model_dump(mode="json") | {"found": None if found is None else str(found)}
        write_json(options.json, values)


def _passing_on(card: "Card") -> str | None:
    if card.folder is None and card.reads_files:
        return None  # a folder of the user's own
    return "allowed" if card.redistributable else "not allowed"


def _holds(card: "Card") -> str:
    if card.modality == "points":
        return f"clouds of {card.points:,} points" if card.points else "clouds"
    if card.image is None:
        return "images"
    image = card.image
    kind = {1: "grey", 3: "colour"}.get(image.channels, f"{image.channels}-channel")
    return f"{kind} images of {image.height} x {image.width}"


def _print_fact(label: str, fact: str) -> None:
    print(
        textwrap.fill(
            fact,
            100,
            initial_indent=f"{label:12}",
            subsequent_indent=" " * 12,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
