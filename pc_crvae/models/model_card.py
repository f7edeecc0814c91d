"""The card that a model is saved with: what it is, what it was trained on, what it can do."""

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from pc_crvae.utils.templates import filled

if TYPE_CHECKING:
    from pc_crvae.models.pretrained import Pretrained


def saved_card(model: "Pretrained", name: str, *, figures: str, protocol: str) -> str:
    """Write the card of a saved model, in Markdown.

    Args:
        model: the model.
        name: what it is called.
        figures: what was measured, in Markdown; empty where nothing was.
        protocol: a paragraph that says how the figures were measured; empty for none.
    """
    measured = {"figures": figures.strip(), "protocol": protocol.strip()}
    data = list(_data(model.data))
    card = filled(__file__, "model_card.md", model=model, name=name, data=data, **measured)
    return card + "\n"


def _data(data: Mapping[str, Any]) -> Iterator[str]:
    """What is recorded of the training data, a line each."""
    shares = data.get("mixture") or ({data["name"]: None} if data.get("name") else {})
    if not shares:
        yield "No record says what it was trained on."
        return
    licences = data.get("licences", {})
    for name, share in shares.items():
        part = "" if share is None else f", {share:.0%} of every epoch"
        licence = licences.get(name, f"see `pc-crvae data show {name}`").rstrip(".")
        yield f"- `{_shown(name)}`{part}. Licence: {licence}."
    if "train_sha256" in data:
        yield ""
        yield f"SHA-256 of the training items: `{data['train_sha256']}`."


def _shown(name: str) -> str:
    """The name of a data set; a card of one's own goes by its path, which is nobody else's."""
    path = PurePath(name)
    return path.stem if path.suffix in (".yaml", ".yml") else name
