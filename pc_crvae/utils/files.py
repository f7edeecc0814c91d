"""Files written whole or not at all, and read within a bound."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pc_crvae.errors import UserError


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place once the block succeeds.

    The temporary name keeps the suffix, for writers that choose the format by it. When the
    block raises, the temporary file is removed and ``path`` is left as it was.

    Args:
        path: The file to write; missing parent folders are made.

    Raises:
        UserError: A folder or file could not be written (full disk, no permission, a folder
            in the way).
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from error


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a new temporary folder beside ``path`` that takes its place on success.

    Args:
        path: The folder to write; one that is already there is replaced as a whole.

    Raises:
        UserError: As `atomic_path`.
    """
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        temporary.mkdir(parents=True)
        try:
            yield temporary
            if path.exists():
                replaced = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
                path.replace(replaced)
                temporary.replace(path)
                shutil.rmtree(replaced)
            else:
                temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise _cannot_write(path, error) from error


def require_writable(path: Path) -> None:
    """Refuse, before any work, a file that `atomic_path` could not write after it.

    Nothing is made. A disk that fills up meanwhile is told when it does.

    Raises:
        UserError: a folder is in the way, a file in place of a folder, or no permission.
    """
    try:
        if path.is_dir():
            raise _os_error(errno.EISDIR)
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if not folder.is_dir():
            raise _os_error(errno.ENOTDIR)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise _os_error(errno.EACCES)
    except OSError as error:
        raise _cannot_write(path, error) from error


def gone(path: Path) -> str:
    """Say, as the start of a sentence, that nothing is at ``path``; of a link, where it leads."""
    if path.is_symlink():
        return f"{path} is a link to {path.readlink()}, which is missing"
    return f"{path} is missing"


def read_bytes(path: Path, most: int) -> bytes:
    """Read a file whole, if it has no more than ``most`` bytes.

    Raises:
        UserError: it is missing, larger or no regular file, or cannot be read.
    """
    try:
        if not path.is_file():
            raise UserError(f"{path} is not a file" if path.exists() else gone(path))
        size = path.stat().st_size
        if size > most:
            raise UserError(f"{path} has {size} bytes, more than the {most} that are read of it")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _cannot_write(path: Path, error: OSError) -> UserError:
    reason = error.strerror or str(error)
    return UserError(f"could not write {path}: {reason}; free some space or choose another place")
