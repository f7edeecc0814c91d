"""The card that a model is saved with: what it is, what it was trained on, what it can do."""

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal

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


def abilities_of_points(
    *, frames: Literal["z", "so3"] | None, points: int, decodes: bool
) -> Iterator[str]:
    """What a model of point clouds can do, and what it cannot, a sentence each.

    Args:
        frames: the group of frames that the model averages over.
        points: the number of points of the clouds that it is made for.
        decodes: whether training trained its decoder.
    """
    yield "It embeds, searches and compares shapes of kinds that it has never seen."
    yield (
        "Position and size do not matter to it: a cloud's mean is moved to 0 and its largest "
        "radius scaled to 1."
    )
    if frames == "so3":
        yield (
            "Which way a shape faces does not matter, unless two of its principal axes spread "
            "alike; that a chair stands and not lies is lost with it."
        )
        yield "Stray points and missing regions turn these axes, and so change its vector a lot."
    elif frames == "z":
        yield "Shapes that do not stand upright are other shapes to it: say which axis is up."
    else:
        yield (
            "Shapes that are turned are other shapes to it: say which axis is up, and for shapes "
            "that face anywhere use a model that is rotation-invariant."
        )
    yield (
        f"It is made for clouds of {points:,} points drawn evenly from surfaces. Far "
        "fewer points, vertices of meshes and scans from one side are harder."
    )
    if decodes:
        yield (
            "What it decodes shows the rough form: details, thin parts and holes smaller than the "
            "distance of its points are not there."
        )
    else:
        yield "It does not decode: reconstructing and interpolating need a model that does."
    yield "It knows no names of classes, no colours and no materials."


def abilities_of_images(size: tuple[int, ...]) -> Iterator[str]:
    """What a model of images can do, and what it cannot, a sentence each.

    Args:
        size: channels, height and width of the images that it takes.
    """
    channels, height, width = size
    yield f"It takes images of {height} x {width} pixels, {channels} channels, values in [0, 1]."
    yield "It knows images like those that it was trained on, and no others."
    yield "It gives likelihoods, codes and samples; it knows no names of classes."
