"""What shape of array is a cloud."""

from pathlib import Path

from pc_crvae.errors import UserError

_MOST_COLUMNS = 12
"""That rows shorter than their length may have: places, normals, colours and more."""


def check_not_transposed(where: Path | str, shape: tuple[int, ...]) -> None:
    """Refuse a table (N, C) that holds one point per column, as far as its shape tells.

    Raises:
        UserError: it seems to be such.
    """
    rows, columns = shape
    if columns > rows and (rows == 3 or (rows > 1 and columns > _MOST_COLUMNS)):
        raise UserError(
            f"{where} has {rows} rows of {columns} numbers: is it transposed? A cloud has a row a "
            "point, (N, 3)"
        )
