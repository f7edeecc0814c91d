"""Members of a zip archive, read in place and each within a bound."""

import textwrap
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pc_crvae.errors import UserError

# zipfile raises by the part that is damaged: BadZipFile for most, RuntimeError for a version it
# cannot read, EOFError where the file ends within a member, the others from what it reads with.
_DAMAGE = (zipfile.BadZipFile, RuntimeError, OSError, EOFError, ValueError, zlib.error)
_LOCKED = 1


@contextmanager
def open_zip(path: Path, kind: str = "zip archive") -> Iterator[zipfile.ZipFile]:
    """Open an archive for reading.

    Args:
        path: the file.
        kind: what to call it in an error.

    Raises:
        UserError: it is missing, no zip archive or a damaged one.
    """
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: download it, and leave it packed") from error
    except _DAMAGE as error:
        raise _broken(f"{path} cannot be read or is not a whole {kind}", error) from error
    with archive:
        yield archive


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """Return the content of a member, its check sum met.

    Args:
        archive: one that :func:`open_zip` gave.
        member: one of its members.
        most: bytes; nothing longer is unpacked.

    Raises:
        UserError: the member is damaged, longer than ``most``, locked, or packed in another way
            than the two that can be unpacked within a bound (stored and deflated).
    """
    path = member_name(archive, member)
    if member.file_size > most:
        raise UserError(f"{path} has {member.file_size} bytes, where at most {most} are expected")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UserError(f"{path} is neither stored nor deflated: pack the archive anew")
    if member.flag_bits & _LOCKED:
        raise UserError(f"{path} is locked by a password: pack the archive anew")
    try:
        with archive.open(member) as file:
            # Asked for without a count, zipfile unpacks all there is before it cuts.
            return file.read(member.file_size)
    except _DAMAGE as error:
        raise _broken(f"{path} is damaged", error) from error


def member_name(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> str:
    """Return how errors call a member: the path of its archive, then its own within it."""
    name = member.filename if member.filename.isprintable() else ascii(member.filename)
    return f"{archive.filename}/{name}"


def _broken(start: str, error: Exception) -> UserError:
    # Shortened because zipfile quotes what it found in place of a name.
    reason = textwrap.shorten(str(error) or "it ends too early", 120, placeholder=" ...")
    return UserError(f"{start} ({reason}): make or download it anew")
