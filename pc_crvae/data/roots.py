"""Where the files of a data set are looked for."""

import os
from pathlib import Path

from pc_crvae.data.cards import Card, card_names
from pc_crvae.data.fetching.record import refuse_unfinished
from pc_crvae.errors import UserError
from pc_crvae.utils.invocation import called
from pc_crvae.utils.resources import checkout_folder

_ELSEWHERE = "--data-root FOLDER (data.root in a configuration)"


def find_root(card: Card, root: Path | None = None) -> Path | None:
    """Return the folder that holds the files of ``card``; None of a set that reads none.

    ``root`` if given, and nothing else; otherwise the first that is there of
    :func:`default_roots`.

    Raises:
        UserError: none is there; the sentence says where to get the data, where to unpack it,
            and which option points elsewhere. Or fetching into it has begun and not ended; or
            ``root`` is given for a set that reads no files.
    """
    if not card.reads_files:
        if root is not None:
            raise UserError(
                f"{card.name} is generated and reads no files: leave out data.root ({root})"
            )
        return None
    candidates = default_roots(card) if root is None else [root.expanduser()]
    for candidate in candidates:
        if candidate.is_dir():
            refuse_unfinished(candidate, card.name)
            return candidate
    raise UserError(_how_to_get(card, candidates))


def default_roots(card: Card) -> list[Path]:
    """Return where the files of ``card`` are looked for when no folder is given, in order.

    ``$PC_CRVAE_DATA/<folder named by the card>``, ``datasets/<name>`` under the working
    directory, and ``datasets/<name>`` beside the cards of the checkout the package runs from;
    none where the card names no folder, as that of a folder of one's own does not.
    """
    if card.folder is None:
        return []
    roots = [Path.cwd() / "datasets" / card.name]
    checkout = checkout_folder()
    if checkout is not None and checkout != Path.cwd():
        roots.append(checkout / "datasets" / card.name)
    data_home = os.environ.get("PC_CRVAE_DATA")
    if data_home:
        roots.insert(0, Path(data_home).expanduser() / card.folder)
    return roots


def _how_to_get(card: Card, candidates: list[Path]) -> str:
    if card.folder is None:
        missing = f" ({candidates[0]} is not a folder)" if candidates else ""
        return f"{card.name} is a folder of your own{missing}: say where it is with {_ELSEWHERE}"
    if card.gated:
        ways = f"it is gated, so only you can ask for it: {card.how_to_get()}"
    elif card.sources and card.name in card_names():
        fetch = called("data fetch", card.name)
        ways = f"{fetch} gets it; or by hand, {card.how_to_get()}"
    else:
        ways = card.how_to_get()
    return (
        f"the data set {card.name} is not there (looked for {', '.join(map(str, candidates))}): "
        f"{ways}; then put the folder {card.folder} into the folder that $PC_CRVAE_DATA names, or "
        f"its files into datasets/{card.name}, or point elsewhere with {_ELSEWHERE}"
    )
