"""What a fetch notes beside a data set's files: their hashes, what was unpacked, if all is there.

A card may not know a file's sha256: it is noted at the first download and held against the file at
every later one. The record imports nothing heavy, so that loading can look at it.
"""

import json
from pathlib import Path
from typing import Annotated

from pydantic import Field

from pc_crvae.errors import UserError, told
from pc_crvae.utils.files import write_text
from pc_crvae.utils.validation import StrictModel, validate

RECORD_NAME = ".fetched.json"

_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_EntryName = Annotated[str, Field(pattern=r"^(\.?[^./\\\x00]|\.\.[^/\\\x00])[^/\\\x00]*$")]


class FetchedFile(StrictModel):
    """A source that was downloaded, or put in its place by hand, and checked."""

    sha256: _Sha256
    unpacked: tuple[_EntryName, ...] = Field((), description="what it put into the folder")
    unpacked_from: _Sha256 | None = Field(
        None, description="of the archive that all of it came from; None while it is unfinished"
    )


class FetchRecord(StrictModel):
    """The state of a folder that sets are fetched into, mostly one, at times a few."""

    unfinished: tuple[str, ...] = Field((), description="sets whose fetch has begun and not ended")
    files: dict[str, FetchedFile] = Field(default_factory=dict, description="by name on disk")


def read_record(folder: Path) -> FetchRecord:
    """Return the record of ``folder``; an empty one where nothing was fetched into it.

    Raises:
        UserError: the record is not as it was written.
    """
    path = folder / RECORD_NAME
    remedy = "remove it and fetch again"
    with told(f"{path} cannot be read", OSError, ValueError, remedy=remedy):
        if not path.exists():
            return FetchRecord()
        written = json.loads(path.read_text(encoding="utf-8"))
    return validate(FetchRecord, written, str(path))


def write_record(folder: Path, record: FetchRecord) -> None:
    """Replace the record of ``folder``.

    Raises:
        UserError: it cannot be written.
    """
    write_text(folder / RECORD_NAME, record.model_dump_json(indent=1) + "\n")


def refuse_unfinished(folder: Path, name: str) -> None:
    """Refuse to load from a folder whose fetch has begun and not ended.

    Args:
        folder: the folder of the data set's files.
        name: the name of the data set.

    Raises:
        UserError: a fetch into it was interrupted or failed.
    """
    record = read_record(folder)
    files = record.files.values()
    is_half_unpacked = any(file.unpacked and file.unpacked_from is None for file in files)
    if name in record.unfinished or is_half_unpacked:
        names = ", ".join(record.unfinished or [name])
        raise UserError(
            f"{folder} does not hold all of {names}, because fetching it was interrupted or "
            f"failed: fetch {names} again, which goes on from there"
        )
