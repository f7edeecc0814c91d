"""Which axis points up in files, as a user says it.

It is a text: one axis (``y``), or axes by the suffixes of files (``glb=y,stl=z``), perhaps with one
for the others in front (``z,glb=y``). ``dae=own`` leaves it to the files, where files say so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator

from pc_crvae.errors import UserError

Axis = Literal["x", "y", "z"]
HELP = "x, y or z, or by suffix, such as glb=y,stl=z"

OWN: Literal["own"] = "own"
"""Of a suffix: what each file says itself."""

_AXES: Mapping[str, Axis] = {"x": "x", "y": "y", "z": "z"}
_PART = re.compile(r"(?:\.*([a-z0-9]+)\s*=\s*)?(x|y|z|own)")


@dataclass(frozen=True)
class UpAxes:
    """The axes that point up.

    Attributes:
        default: the axis of files whose suffix is not named; None: it is not said.
        by_suffix: axes by suffixes, with their dots, in lower case.
    """

    default: Axis | None = None
    by_suffix: Mapping[str, Axis | Literal["own"]] = field(default_factory=dict)

    def of(self, path: Path) -> Axis | None:
        """Return what is said of a file; None if nothing, or that the file says it itself."""
        axis = self.by_suffix.get(path.suffix.lower(), self.default)
        return None if axis == OWN else axis

    def over(self, others: Self) -> Self:
        """Return these axes, and where they say nothing, the ``others``."""
        if self.default is not None:
            return self
        return type(self)(others.default, {**others.by_suffix, **self.by_suffix})

    @property
    def text(self) -> str:
        """The shortest text that says the same."""
        axes = sorted(self.by_suffix.items())
        named = [f"{suffix[1:]}={axis}" for suffix, axis in axes if axis != self.default]
        return ",".join([*([self.default] if self.default else []), *named])


@lru_cache(maxsize=64)
def parse_up(text: str | None) -> UpAxes:
    """Read what a user says; None says nothing.

    Raises:
        UserError: it is no axis, or names a suffix twice or more than one axis for the others.
    """
    default: Axis | None = None
    by_suffix: dict[str, Axis | Literal["own"]] = {}
    for part in text.split(",") if text is not None else []:
        found = _PART.fullmatch(part.strip().lower())
        suffix, said = found.groups() if found else (None, OWN)
        axis: Axis | Literal["own"] = _AXES.get(said, OWN)
        if suffix is not None and f".{suffix}" not in by_suffix:
            by_suffix[f".{suffix}"] = axis
        elif suffix is None and axis != OWN and default is None and not by_suffix:
            default = axis
        else:
            raise UserError(
                f"up is x, y or z, not {str(text)[:60]}, or axes by suffix, such as glb=y,stl=z"
            )
    return UpAxes(default, by_suffix)


def checked_up(text: str) -> str:
    """Return the text, which :func:`parse_up` reads.

    Raises:
        UserError: it does not.
    """
    parse_up(text)
    return text


UpText = Annotated[str, AfterValidator(checked_up)]
"""What a user says, checked where values are read."""
