"""The card that a model is saved with: what it is, what it was trained on, what it can do."""

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Literal

HEADER = """\
---
library_name: pc-crvae
tags: [{modality}, representation-learning, variational-autoencoder]
---
"""
"""What the Hugging Face Hub reads of a card."""

NOT_MEASURED = (
    "Nobody has put figures here. `pc-crvae probe --ckpt FOLDER` measures a model beside an "
    "untrained one and beside features that need no training."
)


def saved_card(
    name: str,
    *,
    what: str,
    made: str,
    modality: Literal["point-clouds", "images"],
    data: Mapping[str, Any],
    abilities: Iterator[str],
    figures: str = "",
    protocol: str = "",
) -> str:
    """Write the card of a saved model, in Markdown.

    Args:
        name: what the model is called.
        what: the model in one line.
        made: a sentence that says how it came to be.
        modality: clouds or images.
        data: what it was trained on, as exports record it.
        abilities: sentences that say what it can do and what it cannot.
        figures: what was measured, in Markdown.
        protocol: a paragraph that says how the figures were measured.
    """
    takes = "points" if modality == "point-clouds" else "images"
    paragraphs = [figures.strip() or NOT_MEASURED, *([protocol.strip()] if protocol else [])]
    lines = [
        HEADER.format(modality=modality).rstrip(),
        f"# {name}",
        "",
        f"`{what}`. {made}",
        "",
        "## How to load it",
        "",
        "    import pc_crvae",
        '    model = pc_crvae.load("FOLDER")  # the folder of this card',
        f"    vectors = model.embed({takes})",
        "",
        "From the Hugging Face Hub: `from_pretrained` of the model's class downloads it first.",
        "",
        "## Data and licence",
        "",
        *_data(data),
        "",
        "## Measured",
        "",
        *(line for paragraph in paragraphs for line in (paragraph, "")),
        "## What it can and cannot do",
        "",
        *(f"- {sentence}" for sentence in abilities),
        "",
    ]
    return "\n".join(lines)


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
