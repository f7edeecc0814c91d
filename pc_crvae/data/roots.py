"""Where the files of a data set are looked for."""

import os
from pathlib import Path

from pc_crvae.data.cards import Card
from pc_crvae.errors import UserError
from pc_crvae.resources import checkout_folder


def find_root(card: Card, root: Path | None = None) -> Path:
    """Return the folder that holds the files of ``card``.

    ``root`` if given, and nothing else; otherwise the first that is there of
    ``$PC_CRVAE_DATA/<folder named by the card>``, ``datasets/<name>`` under the working
    directory, and ``datasets/<name>`` beside the cards of the checkout the package runs from.

    Raises:
        UserError: none is there; the sentence says where to get the data, where to unpack it,
            and which option points elsewhere.
        ValueError: the card's set is generated, so it has no folder.
    """
    if card.folder is None:
        raise ValueError(f"{card.name} has no files on disk")
    candidates = [root.expanduser()] if root is not None else _default_roots(card.name, card.folder)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise UserError(_how_to_get(card, candidates))


def _default_roots(name: str, folder: str) -> list[Path]:
    roots = [Path.cwd() / "datasets" / name]
    checkout = checkout_folder()
    if checkout is not None and checkout != Path.cwd():
        roots.append(checkout / "datasets" / name)
    data_home = os.environ.get("PC_CRVAE_DATA")
    if data_home:
        roots.insert(0, Path(data_home).expanduser() / folder)
    return roots


def _how_to_get(card: Card, candidates: list[Path]) -> str:
    urls = " and ".join(source.url for source in card.sources)
    return (
        f"the data set {card.name} is not there (looked for {', '.join(map(str, candidates))}): "
        f"get {urls}, {card.manual_steps}, and put the folder {card.folder} into the folder that "
        f"$PC_CRVAE_DATA names, or its files into datasets/{card.name}, or point elsewhere with "
        "data.root=FOLDER (--data-root FOLDER of a tool)"
    )
