"""Which axis points up in a file: as a user says, then by its format's own rules, then by its card.

glTF fixes y and 3MF z, files of COLLADA say it themselves, and most formats fix none.
"""

from pathlib import Path
from typing import Literal

from pc_crvae.data.formats.registry import FORMATS, up_of_format
from pc_crvae.errors import UserError
from pc_crvae.utils.up_axes import OWN, Axis, UpAxes, parse_up


def up_of_file(path: Path, said: str | None, otherwise: Axis = "z") -> Axis:
    """Return the axis that points up in a file.

    Args:
        path: the file, which goes by its suffix.
        said: what a user says, as :func:`~pc_crvae.utils.up_axes.parse_up` reads it.
        otherwise: the axis where neither the user nor the format says one, as a card does.

    Raises:
        UserError: what is said is no such text.
    """
    return parse_up(said).of(path) or up_of_format(path) or otherwise


def up_in_full(said: str | None, otherwise: Axis = "z", *, base: str | None = None) -> str:
    """Return, as a user might say it, what holds of every file, so that no default is left open.

    Args:
        said: what a user says.
        otherwise: the axis where neither the user nor a format says one.
        base: what holds where the user says nothing, instead of ``otherwise`` and the formats.

    Raises:
        UserError: a text is none of that kind.
    """
    by_format: dict[str, Axis | Literal["own"]] = {
        suffix: format.up or OWN
        for suffix, format in FORMATS.items()
        if format.up is not None or format.up_in is not None
    }
    below = parse_up(base) if base is not None else UpAxes(otherwise, by_format)
    return parse_up(said).over(below).text


def single_up(said: str | None, otherwise: Axis | None, name: str) -> Axis | None:
    """Return the one axis of a set that does not have one file per shape.

    Raises:
        UserError: what is said is no axis, or axes by suffix.
    """
    axes = parse_up(said)
    if axes.by_suffix:
        raise UserError(f"all files of {name} have one kind, so up is one axis, not {said!r}")
    return axes.default or otherwise
