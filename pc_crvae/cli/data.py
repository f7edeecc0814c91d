"""``data``: which data sets there are, which are here, and what one of them holds."""

import argparse
import json
import shutil
import textwrap
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pc_crvae.cli.saved import up_axes
from pc_crvae.errors import UserError
from pc_crvae.utils.files import require_writable
from pc_crvae.utils.up_axes import HELP

if TYPE_CHECKING:
    from pc_crvae.data import CloudSet, ImageSet
    from pc_crvae.data.cards import Card, Split

DESCRIPTION = (
    "List the data sets, and show, fetch, prepare, check, measure or preview one; prune what is "
    "prepared."
)

_MOST_CLASSES = 60
_PIPE_WIDTH = 140
_LEAST_ROOM = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = "; ".join(f"{name}: {action.meaning}" for name, action in _ACTIONS.items())
    parser.add_argument("action", metavar="ACTION", choices=_ACTIONS, help=actions)
    parser.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        help="of a data set, or the path of a card of one's own (all but list and prune need it)",
    )
    parser.add_argument(
        "--data-root",
        type=Path,
        metavar="DIR",
        help="folder of the data (default: where it is looked for by default, which list shows)",
    )
    parser.add_argument(
        "--up",
        type=up_axes,
        metavar="AXIS",
        help=f"the axis that points up in the files: {HELP} (default: their format's, or else the "
        "card's)",
    )
    parser.add_argument(
        "--split",
        choices=("train", "test"),
        help="of prepare, stats and preview: only this split (default: every one)",
    )
    parser.add_argument(
        "--allow-refused",
        action="store_true",
        help="of prepare, stats and preview: do without the files that cannot be used",
    )
    parser.add_argument(
        "--drop-nan",
        action="store_true",
        help="of prepare and preview: leave out points of clouds that are NaN or infinite",
    )
    parser.add_argument(
        "--normals",
        action="store_true",
        help="of prepare: keep the normal at each point too, for load(..., normals=True)",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="of prune: remove everything that is prepared, what is up to date as well",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="of prune: only show what would be removed"
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="of check: what differs from the card is a defect, a cut set as well",
    )
    parser.add_argument(
        "--per-class",
        type=int,
        metavar="COUNT",
        help="of preview: items drawn of each class (default: 8)",
    )
    parser.add_argument(
        "--seed", type=int, help="of preview: fixes which items are drawn (default: 0)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="of preview: the folder that a picture and a page of each split go into "
        "(default: previews/NAME)",
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="of list, show, check and stats: a file for what is printed, as JSON "
        "(default: none is written)",
    )


def run(options: argparse.Namespace) -> None:
    """Do what the action says."""
    action = _ACTIONS[options.action]
    allowed = {"action", "name", *action.options}
    astray = sorted(
        name
        for name, value in vars(options).items()
        if name not in allowed and value is not None and value is not False
    )
    if astray:
        raise UserError(f"{options.action} takes no --{astray[0].replace('_', '-')}")
    if action.takes_name and options.name is None:
        raise UserError(f"{options.action} needs the name of a data set: list shows them all")
    if not action.takes_name and options.name is not None:
        raise UserError(f"{options.action} takes no name; show tells of one data set")
    if options.json is not None:
        require_writable(options.json)
    report = action.do(options)
    if options.json is not None and report is not None:
        _write_json(options.json, report)


def _list(options: argparse.Namespace) -> list[dict[str, Any]]:
    from pc_crvae.data.cards import card_names, load_card

    lines = [("name", "holds", "on this machine", "", "licence")]
    rows = []
    for name in card_names():
        card = load_card(name)
        found = _found(card)
        where = str(found) if found else _where_without_files(card)
        gated = "gated" if card.gated else ""
        lines.append((name, card.modality, where, gated, card.licence))
        rows.append(
            {
                "name": name,
                "title": card.title,
                "modality": card.modality,
                "found": None if found is None else str(found),
                "gated": card.gated,
                "licence": card.licence,
            }
        )
    _print_table(lines)
    return rows


def _print_table(lines: Sequence[Sequence[str]]) -> None:
    """Print columns; the last is cut where the terminal ends."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]) - 1)]
    room = shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns - sum(widths) - 2 * len(widths)
    for line in lines:
        cells = [f"{cell:{width}}" for cell, width in zip(line, widths, strict=False)]
        last = textwrap.shorten(line[-1], max(room, _LEAST_ROOM), placeholder=" ...")
        print("  ".join([*cells, last]).rstrip())


def _found(card: "Card") -> Path | None:
    """Return the folder that the set would be read from, None where there is none."""
    from pc_crvae.data.roots import default_roots

    return next((root for root in default_roots(card) if root.is_dir()), None)


def _where_without_files(card: "Card") -> str:
    from pc_crvae.data.layouts import LAYOUTS

    origin = LAYOUTS[card.layout].origin
    if not card.reads_files:
        return "generated" if origin == "generated" else "comes with a library"
    return "not here" if card.folder else "yours: --data-root"


def _show(options: argparse.Namespace) -> dict[str, Any]:
    from pc_crvae.data.cards import load_card

    card = load_card(options.name)
    found = _found(card)
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
        "here": str(found) if found else _where_without_files(card),
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
    return card.model_dump(mode="json") | {"found": None if found is None else str(found)}


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


def _fetch(options: argparse.Namespace) -> None:
    from pc_crvae.data.cards import load_card
    from pc_crvae.data.roots import default_roots

    card = load_card(options.name)
    root: Path | None = options.data_root
    if not card.reads_files:
        print(f"{card.name} reads no files: there is nothing to fetch")
        return
    if card.folder is None and not card.sources:
        raise UserError(f"{card.name} is a folder of your own: there is nothing to fetch")
    if card.gated or not card.sources:
        found = root if root is not None and root.is_dir() else _found(card)
        if found is not None:
            print(f"{card.name} is here already: {found}")
            return
        why = "is gated, so only you can ask for it" if card.gated else "is published nowhere"
        place = root or default_roots(card)[0]
        raise UserError(f"{card.name} {why}: {card.how_to_get()}; then put its files into {place}")

    from pc_crvae.data.fetching.download import fetch

    folder = root or _found(card) or default_roots(card)[0]
    for path in fetch(card, folder):
        print(path)


def _prepare(options: argparse.Namespace) -> None:
    from pc_crvae.data.cache.preparation import RejectedFilesError

    rejected = []
    for split in _splits(options):
        try:
            items = _load(options, split)
        except RejectedFilesError as error:
            # Told at the end, so that the other split is prepared too.
            rejected.append(error)
            continue
        shape = " x ".join(f"{length:,}" for length in items.array.shape[1:])
        normals = ", with normals" if options.normals else ""
        print(f"{split}: {len(items):,} items of {shape}{normals}")
    if rejected:
        option = " (--allow-refused)" if all(one.some_are_left for one in rejected) else ""
        raise UserError("; ".join(map(str, rejected)) + option)


def _prune(options: argparse.Namespace) -> None:
    from pc_crvae.data.cache.pruning import prune
    from pc_crvae.data.cache.store import cache_folder

    dry_run: bool = options.dry_run
    pruned = prune(everything=options.all, dry_run=dry_run)
    verb = "would remove" if dry_run else "removed"
    for leftover in pruned.removed:
        size = f"{leftover.size / 1e6:,.1f} MB"
        print(f"{verb} {leftover.path.name}, {leftover.reason}: {size}")
    for name in pruned.busy:
        print(f"left {name}, which another process prepares")
    total = sum(leftover.size for leftover in pruned.removed) / 1e6
    print(f"{verb} {total:,.1f} MB from {cache_folder()}")


def _load(options: argparse.Namespace, split: "Split") -> "CloudSet | ImageSet":
    from pc_crvae.data import load

    return load(
        options.name,
        split,
        root=options.data_root,
        up=options.up,
        allow_refused=options.allow_refused,
        drop_nan=options.drop_nan,
        normals=options.normals,
    )


def _splits(options: argparse.Namespace) -> "list[Split]":
    from pc_crvae.data.cards import load_card

    card = load_card(options.name)
    if options.split is None:
        return list(card.splits)
    card.require_split(options.split)
    return [options.split]


def _check(options: argparse.Namespace) -> dict[str, Any]:
    from pc_crvae.data.inspection.checks import check

    found = check(
        options.name, root=options.data_root, up=options.up, strict=options.strict, say=print
    )
    for finding in found.findings:
        print(f"{'defect' if finding.defect else 'note'}: {finding.sentence}")
    counts = ", ".join(f"{split} {count:,}" for split, count in found.counts.items())
    place = f" in {found.folder}" if found.folder else ""
    print(f"{found.name}{place}: {counts or 'nothing could be read'}")
    if found.defects:
        if options.json is not None:
            _write_json(options.json, found.as_json())
        defects = "a defect" if len(found.defects) == 1 else f"{len(found.defects)} defects"
        raise UserError(f"{found.name} has {defects}, told above")
    print("no defects")
    return found.as_json()


def _stats(options: argparse.Namespace) -> dict[str, Any]:
    from pc_crvae.data.inspection.summaries import summarize

    summary = summarize(
        options.name,
        splits=_splits(options),
        root=options.data_root,
        up=options.up,
        allow_refused=options.allow_refused,
    )
    splits = summary["splits"]
    for split, numbers in splits.items():
        print(f"{split}: {numbers['count']:,} items")
        if summary["modality"] == "points":
            print(f"  points a cloud   {numbers['points']:,}")
            print(f"  of them distinct {_spread(numbers['distinct_points'], '{:,.0f}')}")
            print(f"  longest side     {_spread(numbers['extent'], '{:.4g}')} in the files")
        else:
            values = numbers["values"]
            print(f"  size   {numbers['channels']} x {numbers['height']} x {numbers['width']}")
            print(
                f"  values {values['least']} to {values['greatest']}, mean {values['mean']:.1f} "
                "of 0 to 255"
            )
    _print_class_counts({split: numbers["per_class"] for split, numbers in splits.items()})
    return summary


def _spread(numbers: dict[str, float], form: str) -> str:
    least, median, greatest = (
        form.format(numbers[name]) for name in ("least", "median", "greatest")
    )
    return f"{least} to {greatest}, median {median}"


def _print_class_counts(counts: dict[str, dict[str, int] | None]) -> None:
    labelled = {split: part for split, part in counts.items() if part is not None}
    if not labelled:
        print("no labels")
        return
    names = list(dict.fromkeys(name for part in labelled.values() for name in part))
    heading = "items a class"
    width = max(len(name) for name in [heading, *names])
    print(f"{heading:{width}}  " + "  ".join(f"{split:>8}" for split in labelled))
    for name in names[:_MOST_CLASSES]:
        numbers = "  ".join(f"{part.get(name, 0):8,}" for part in labelled.values())
        print(f"{name:{width}}  {numbers}")
    if len(names) > _MOST_CLASSES:
        print(f"and {len(names) - _MOST_CLASSES:,} classes more, which --json has")


def _preview(options: argparse.Namespace) -> None:
    from pc_crvae.data.cards import load_card

    card = load_card(options.name)
    per_class = 8 if options.per_class is None else options.per_class
    if per_class < 1:
        raise UserError(f"--per-class must be at least 1, not {per_class}")
    folder: Path = options.out or Path("previews") / card.name
    require_writable(folder / "train.png")
    for split in _splits(options):
        items = _load(options, split)
        from pc_crvae.visualization.contact_sheet import (
            Tile,
            contact_page,
            contact_sheet,
            rows_by_class,
        )

        labels = len(items) if items.labels is None else items.labels
        chosen, titles = rows_by_class(labels, items.classes, per_class, seed=options.seed or 0)
        rows = [[Tile(items.ids[row], items.array[row]) for row in rows] for rows in chosen]
        title = f"{card.title}: {split}, {len(items):,} items"
        for write, suffix in ((contact_sheet, "png"), (contact_page, "html")):
            path = folder / f"{split}.{suffix}"
            write(rows, path, row_titles=titles, title=title)
            print(path)


def _write_json(path: Path, report: Any) -> None:
    from pc_crvae.utils.files import atomic_path

    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")


class _Action(NamedTuple):
    """What an action does, and which options it takes."""

    do: Callable[[argparse.Namespace], Any]
    meaning: str
    options: Set[str]
    takes_name: bool = True


_PLACE = ("data_root", "up")
_READING = (*_PLACE, "split", "allow_refused")
_ACTIONS = {
    "list": _Action(_list, "every data set, and where it lies", {"json"}, takes_name=False),
    "show": _Action(_show, "what is known of one", {"json"}),
    "fetch": _Action(_fetch, "download it, or say what to do by hand", {"data_root"}),
    "prepare": _Action(
        _prepare, "read it once, so that it loads at once", {*_READING, "normals", "drop_nan"}
    ),
    "prune": _Action(
        _prune,
        "remove what was prepared and is out of date",
        {"all", "dry_run"},
        takes_name=False,
    ),
    "check": _Action(
        _check,
        "hold it against its card, and look for damage, copies and near-copies",
        {*_PLACE, "strict", "json"},
    ),
    "stats": _Action(_stats, "count its classes and measure it", {*_READING, "json"}),
    "preview": _Action(
        _preview,
        "draw random items of each class",
        {*_READING, "drop_nan", "out", "per_class", "seed"},
    ),
}
