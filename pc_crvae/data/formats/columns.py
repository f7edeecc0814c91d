"""Which columns of a table are the coordinates, as the names at its head say.

``x``, ``pos_x``, ``X [m]``, ``Points:0`` of ParaView, ``POINT_X`` or ``Easting`` of maps are all
understood; names that do not tell are refused, since other columns taken for coordinates give a
shape that looks as sound as any.
"""

import re
from collections.abc import Sequence

from pc_crvae.errors import UserError
from pc_crvae.utils.texts import texts_beside

_TEXTS = texts_beside(__file__, "columns.toml")
_UNITS, _DEGREES, _POSITIONS = (
    set(_TEXTS["words"][kind].split()) for kind in ("units", "degrees", "positions")
)
_POSITIONS.add("")
_NORMALS = {"n", "normal", "normals", "nrm", "nor", "norm"}
_AXES = {"x": 0, "y": 1, "z": 2}
_OF_MAPS = {word: _AXES[axis] for axis, words in _TEXTS["axes"].items() for word in words.split()}
_COUNTED = {"", "v", "var", "col", "column", "field"}
"""Words of names that only count the columns, as pandas, R and MATLAB give."""


def split_header(line: str, delimiter: str | None) -> list[str]:
    """Return the names at the head of a table, without quotes; a unit stays with its name."""
    glued = re.sub(r"\s+(?=[\[(])", "", line)
    return [name.strip().strip("\"'").strip() for name in glued.split(delimiter)]


def counts_columns(names: Sequence[str], delimiter: str | None) -> bool:
    """Whether a line is 0, 1, 2 and so on, as pandas heads a table without names.

    An index column in front has no name. Between blanks it may as well be a point.
    """
    numbers = names[1:] if names and names[0] == "" else names
    is_counted = list(numbers) == [str(number) for number in range(len(numbers))]
    return delimiter is not None and len(numbers) > 2 and is_counted


def coordinate_columns(where: object, names: Sequence[str]) -> list[int]:
    """Return which columns are x, y and z.

    Args:
        where: the file, for the sentence of an error.
        names: the names of all columns, in order.

    Raises:
        UserError: the names do not tell, or tell of degrees.
    """
    found = find_coordinates(names)
    if found is not None:
        return found
    listed = ", ".join(name[:30] or "(none)" for name in names[:8])
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    if any(_DEGREES & set(_words(name)[0]) for name in names):
        raise UserError(
            f"{where} has places in degrees (its columns are {listed}{more}): project them to "
            "metres, and call the columns x, y and z"
        )
    raise UserError(
        f"{where} has the columns {listed}{more}, which do not tell which are the coordinates: "
        "call these x, y and z"
    )


def normal_columns(where: object, names: Sequence[str]) -> list[int]:
    """Return which columns are the normal's x, y and z.

    Raises:
        UserError: the names do not tell.
    """
    found = _by_words(names, _NORMALS)
    if len(found) != 1:
        raise UserError(
            f"{where} does not tell by the names of its columns which are the normals: call them "
            "nx, ny and nz"
        )
    return found[0]


def find_coordinates(names: Sequence[str]) -> list[int] | None:
    """Return which columns are x, y and z; None where the names do not tell."""
    bare = [name.lower() for name in names]
    if all(bare.count(axis) == 1 for axis in _AXES):
        return [bare.index(axis) for axis in _AXES]
    for candidates in (_by_words(names, _POSITIONS), _of_maps(names)):
        if candidates:
            return candidates[0] if len(candidates) == 1 else None
    return _counted(names)


def _words(name: str) -> tuple[list[str], str]:
    """Return the words of a name, in lower case and without units, and the unit."""
    spaced = re.sub(r"(?<=[a-zµ])(?=[A-Z])", "_", name.replace("°", " deg "))
    words = [word for word in re.split(r"[^0-9a-zµöäü]+", spaced.lower()) if word]
    units = [word for word in words[1:] if word in _UNITS]
    return [word for word in words if word not in units or word == words[0]], "".join(units[:1])


def _axis_of(name: str, beside: set[str]) -> tuple[int, str, str] | None:
    """Return the axis that a name says with such words alone, the words, and the unit."""
    words, unit = _words(name)
    if not words:
        return None
    joined = re.fullmatch(r"(.*?)([xyz])(.*)", "".join(words)) if len(words) == 1 else None
    if joined and not (joined[1] and joined[3]):
        other = joined[1] + joined[3]
        if other and other in beside:
            return _AXES[joined[2]], other, unit
    for at in (len(words) - 1, 0):
        others = words[:at] + words[at + 1 :]
        if words[at] in _AXES and set(others) <= beside and (others or "" in beside):
            return _AXES[words[at]], " ".join(others), unit
        if words[at] in ("0", "1", "2") and others and set(others) <= beside:
            return int(words[at]), " ".join([*others, "by number"]), unit
    return None


def _by_words(names: Sequence[str], beside: set[str]) -> list[list[int]]:
    """Return each three columns that are called alike but for the axis."""
    groups: dict[tuple[str, str], dict[int, list[int]]] = {}
    for column, name in enumerate(names):
        axis = _axis_of(name, beside)
        if axis is not None:
            groups.setdefault(axis[1:], {}).setdefault(axis[0], []).append(column)
    return [
        [columns[axis][0] for axis in range(3)]
        for columns in groups.values()
        if len(columns) == 3 and all(len(same) == 1 for same in columns.values())
    ]


def _of_maps(names: Sequence[str]) -> list[list[int]]:
    columns: dict[int, list[int]] = {}
    units = set()
    for column, name in enumerate(names):
        words, unit = _words(name)
        axis = _OF_MAPS.get(words[0]) if len(words) == 1 else None
        if axis is not None:
            columns.setdefault(axis, []).append(column)
            units.add(unit)
    if len(columns) < 3 or any(len(same) > 1 for same in columns.values()) or len(units) > 1:
        return []
    return [[columns[axis][0] for axis in range(3)]]


def _counted(names: Sequence[str]) -> list[int] | None:
    """Return the first three of columns that are only counted, as ``V1``, ``V2``, ``V3``."""
    start = 1 if names and names[0] == "" else 0
    parts = [re.fullmatch(r"([a-z]*)[-_ :]?(\d+)", name.lower()) for name in names[start:]]
    if len(parts) < 3 or None in parts:
        return None
    stems = {part[1] for part in parts if part}
    numbers = [int(part[2]) for part in parts if part]
    first = numbers[0]
    if len(stems) > 1 or first > 1 or numbers != list(range(first, first + len(numbers))):
        return None
    known = stems <= _COUNTED or (len(parts) == 3 and stems <= _POSITIONS | {"x", "c", "dim", "f"})
    return [start, start + 1, start + 2] if known else None
