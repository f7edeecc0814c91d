"""Unpacking archives that came from elsewhere: within a folder and within bounds, or not at all.

Zip files, and tar files plain or compressed by gzip, bzip2 or xz, told apart by their first bytes.
Files are written by this module, not by the libraries that read the archives, so that no
permission bit, owner or time is taken over. Bytes are counted as they are read.
"""

import bz2
import gzip
import io
import lzma
import shutil
import stat
import tarfile
import unicodedata
import uuid
import zipfile
import zlib
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Literal, cast

from rich.filesize import decimal

from pc_crvae.errors import UserError, reason_of, told
from pc_crvae.utils.files import atomic_folder

MOST_BYTES = 100 * 2**30
MOST_MEMBERS = 1_000_000

_MOST_TO_ONE = 200
"""Bytes unpacked for one of the archive; honest shapes and images stay below 20."""
_ALWAYS_ALLOWED = 2**28
"""Bytes that any archive may unpack to, however small it is."""
_LONGEST_PART = 255
_LONGEST_NAME = 1024
_BLOCK = 2**18
_LARGEST_HEADER = 2**20
"""Of a tar file: more than this is never read in one piece."""
_HEADERS_A_MEMBER = 8192
"""Of a tar file: the header, those before it that hold a long name or a precise time, padding."""

_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    OverflowError,
    RecursionError,
    NotImplementedError,
)
"""What the libraries raise at bytes that make no sense to them."""


class ArchiveRejected(UserError):  # noqa: N818 - says what was done, as the libraries' names do
    """An archive is not to be unpacked, whatever room there is for it."""


class _Rejected(Exception):  # noqa: N818 - a reason, told by the UserError it becomes
    pass


@dataclass(frozen=True)
class _Member:
    name: str
    is_folder: bool
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, target: Path, *, strip: str | None = None) -> None:
    """Unpack ``archive`` as the folder ``target``, whole or not at all.

    The members are written into a temporary folder beside ``target``, which takes its place once
    all of them are there; a ``target`` that is there already is replaced as a whole. Where the
    archive's one entry at the top is a folder called ``strip``, what is in that folder lies right
    in ``target``; otherwise ``target`` holds what the archive's top does. Rubbish of macOS
    (``__MACOSX``, ``.DS_Store``, ``._*``) is left out.

    Refused as a whole is an archive with a member that is not a plain file or folder (links,
    devices, pipes, sparse files); whose name is absolute, climbs with ``..``, holds a backslash, a
    colon or a control character, or is too long; that is encrypted; or that has the name of
    another one, letter case aside. So is one that unpacks to more bytes, counted as they are
    read, than `MOST_BYTES` or a generous multiple of its own size; that has more than
    `MOST_MEMBERS` members; that ends too early; or that holds no file.

    Args:
        archive: the file.
        target: the folder to make; its parents are made as well.
        strip: the folder at the top whose contents belong right into ``target``.

    Raises:
        ArchiveRejected: the archive is refused, damaged or no archive.
        UserError: it is not there, or the disk has no room for what it holds.
    """
    if not archive.is_file():
        raise UserError(f"{archive} is not a file, so there is nothing to unpack")
    budget = _Budget(archive)
    with atomic_folder(target, synced=False) as folder:
        with _told(archive), closing(_members_of(archive, folder, budget)) as members:
            _extract(members, folder, budget)
        if strip is not None:
            _lift(folder, strip)


def read_members(archive: Path, names: Collection[str], most: int) -> dict[str, bytes]:
    """Read files of an archive without unpacking it to the disk; it is refused as by `unpack`.

    Args:
        archive: the file, which is there.
        names: their names in the archive.
        most: bytes that it may unpack to, all in all.

    Returns:
        The content of those that are there, by their names.

    Raises:
        ArchiveRejected: the archive is refused, damaged or no archive.
        UserError: it cannot be read.
    """
    found: dict[str, bytes] = {}
    with told(f"{archive} cannot be read", OSError):
        budget = _Budget(archive, most)
        with _told(archive), closing(_members_of(archive, archive.parent, budget)) as members:
            for number, member in enumerate(members, 1):
                budget.count(number)
                name = "/".join(_parts(member.name))
                if name in names and not member.is_folder:
                    with member.open() as content, io.BytesIO() as file:
                        shutil.copyfileobj(content, file, _BLOCK)
                        found[name] = file.getvalue()
    return found


@contextmanager
def _told(archive: Path) -> Iterator[None]:
    """Say of which archive a refusal is, or damage that a library meets."""
    try:
        yield
    except UserError:
        raise
    except _Rejected as refusal:
        raise ArchiveRejected(f"{archive} was not unpacked: {refusal}") from refusal
    except (*_DAMAGE, OSError) as error:
        # The decompressors say with an OSError, too, that bytes make no sense to them.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ArchiveRejected(
            f"{archive} was not unpacked: it is damaged or cut short ({reason_of(error)})"
        ) from error


class _Budget:
    """What may be unpacked of one archive."""

    def __init__(self, archive: Path, most: int | None = None) -> None:
        size = archive.stat().st_size
        self._most_bytes = most or min(MOST_BYTES, max(_ALWAYS_ALLOWED, _MOST_TO_ONE * size))
        self.members = 0
        self._too_large = (
            f"it unpacks to more than {decimal(self._most_bytes)}, the bound for a file of its "
            f"size ({decimal(size)})"
        )

    def check(self, total: int) -> None:
        """Refuse a total that is promised, or that a decompressor has come to."""
        if total > self._most_bytes:
            raise _Rejected(self._too_large)

    def count(self, members: int) -> None:
        """Note how many members there are, as far as is known."""
        self.members = members
        if members > MOST_MEMBERS:
            raise _Rejected(f"it holds more than {MOST_MEMBERS} files and folders")


def _extract(members: Iterable[_Member], folder: Path, budget: _Budget) -> None:
    claimed: _Claimed = {}
    files = promised = 0
    for number, member in enumerate(members, 1):
        budget.count(number)
        parts = _parts(member.name)
        _claim(claimed, parts, member.is_folder)
        if _is_rubbish(parts):
            continue
        path = folder.joinpath(*parts)
        (path if member.is_folder else path.parent).mkdir(parents=True, exist_ok=True)
        if not member.is_folder:
            promised += member.size
            budget.check(promised)
            _write(member, path)
            files += 1
    if files == 0:
        raise _Rejected("it holds no file")


def _write(member: _Member, path: Path) -> None:
    with member.open() as content, path.open("xb") as file:
        shutil.copyfileobj(content, file, _BLOCK)
        written = file.tell()
    if written != member.size:
        raise _Rejected(
            f"it is damaged: {member.name} has {written} bytes where {member.size} are promised"
        )


def _lift(folder: Path, strip: str) -> None:
    """Move up what lies in the one folder at the top, if that is called ``strip``."""
    entries = list(folder.iterdir())
    if [entry.name for entry in entries] != [strip] or not entries[0].is_dir():
        return
    # Renamed first: an entry of it may have its name.
    inner = entries[0].rename(folder / uuid.uuid4().hex)
    for entry in list(inner.iterdir()):
        entry.rename(folder / entry.name)
    inner.rmdir()


def _parts(name: str) -> tuple[str, ...]:
    """Return the folders and the file of a member's name; none for the top itself."""
    shown = repr(name if len(name) <= _LONGEST_PART else f"{name[:60]}...")
    if not name:
        raise _Rejected("a member of it has no name")
    if name.startswith("/"):
        raise _Rejected(f"its member {shown} has an absolute path")
    if any(character in "\\:\x7f" or character < " " for character in name):
        raise _Rejected(f"its member {shown} has a backslash, colon or control character in it")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise _Rejected(f"its member {shown} points out of the folder")
    try:
        longest = max((len(part.encode()) for part in parts), default=0)
    except UnicodeEncodeError:
        raise _Rejected(f"its member {shown} has a name that is not Unicode") from None
    if longest > _LONGEST_PART or len(name.encode()) > _LONGEST_NAME:
        raise _Rejected(f"its member {shown} has too long a name")
    return parts


def _is_rubbish(parts: tuple[str, ...]) -> bool:
    return bool(parts) and (
        parts[0] == "__MACOSX" or parts[-1] == ".DS_Store" or parts[-1].startswith("._")
    )


_Claimed = dict[tuple[str, ...], tuple[tuple[str, ...], bool]]
"""Paths, and whether they are folders, by what they are where letter case is ignored."""


def _claim(claimed: _Claimed, parts: tuple[str, ...], is_folder: bool) -> None:
    """Refuse the path of a member that some file system would take for that of another one."""
    folded = tuple(map(_folded, parts))
    for depth in range(1, len(parts) + 1):
        this = parts[:depth], is_folder or depth < len(parts)
        before = claimed.setdefault(folded[:depth], this)
        if before is not this and (before != this or not this[1]):
            raise _Rejected(
                f"two members of it have the name {'/'.join(this[0])!r} where letter case is "
                "ignored"
            )


def _folded(part: str) -> str:
    # Windows drops dots and spaces at the end.
    return unicodedata.normalize("NFC", part).casefold().rstrip(" .")


_Opener = Callable[[Path, Literal["rb"]], IO[bytes]]

_COMPRESSED: tuple[tuple[bytes, _Opener], ...] = (
    (b"\x1f\x8b", cast(_Opener, gzip.open)),
    (b"BZh", cast(_Opener, bz2.open)),
    (b"\xfd7zXZ\x00", cast(_Opener, lzma.open)),
)
"""What compressed tar files begin with."""


def _members_of(archive: Path, folder: Path, budget: _Budget) -> Generator[_Member, None, None]:
    with archive.open("rb") as file:
        start = file.read(512)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_members(archive, folder, budget)
    for signature, opener in _COMPRESSED:
        if start.startswith(signature):
            return _tar_members(archive, opener, folder, budget)
    if start[257:262] == b"ustar":
        _reject_full_disk(archive, folder, archive.stat().st_size)
        return _tar_members(archive, cast(_Opener, open), folder, budget)
    raise _Rejected(f"it is neither a zip nor a tar file (it begins with {start[:16]!r})")


def _reject_full_disk(archive: Path, folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{archive} was not unpacked: it takes {decimal(needed)}, and the disk of "
            f"{folder.parent} has {decimal(free)} left"
        )


def _zip_members(archive: Path, folder: Path, budget: _Budget) -> Generator[_Member, None, None]:
    with zipfile.ZipFile(archive) as opened:
        infos = opened.infolist()
        budget.count(len(infos))
        # No more is read of a member than it promises.
        promised = sum(info.file_size for info in infos)
        budget.check(promised)
        _reject_full_disk(archive, folder, promised)
        for info in infos:
            # The name as it is stored: zipfile cuts it at a NUL, and turns backslashes on Windows.
            name = info.orig_filename
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _Rejected(f"its member {name!r} is a link or a device, not a file")
            if info.flag_bits & 0x1:
                raise _Rejected(f"its member {name!r} is encrypted")
            yield _Member(name, name.endswith("/"), info.file_size, partial(opened.open, info))


def _tar_members(
    archive: Path, opener: _Opener, folder: Path, budget: _Budget
) -> Generator[_Member, None, None]:
    with opener(archive, "rb") as plain:
        stream = _BoundedStream(plain, budget)
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:") as opened:
            while (info := opened.next()) is not None:
                yield _tar_member(opened, info, folder)
                # It would keep what is known of every member.
                opened.members.clear()  # type: ignore[attr-defined]
        # tarfile takes a damaged header, or the file's end, for the end of the archive.
        if stream.last != bytes(512):
            raise _Rejected("it is damaged or cut short (its members have no end)")
        while stream.read(_BLOCK):
            pass  # To the end, where the decompressor checks its sum.


def _tar_member(opened: tarfile.TarFile, info: tarfile.TarInfo, folder: Path) -> _Member:
    _parts(info.name)  # Our own sentence goes before the filter's.
    if info.issym() or info.islnk():
        raise _Rejected(f"its member {info.name!r} is a link")
    if not (info.isdir() or info.isreg()) or info.issparse() or info.size < 0:
        raise _Rejected(f"its member {info.name!r} is not a plain file or folder")
    try:
        # Python's own filter, a second opinion on all of the above.
        tarfile.data_filter(info, str(folder))
    except tarfile.FilterError as error:
        raise _Rejected(str(error)) from error
    content = cast(Callable[[], IO[bytes]], partial(opened.extractfile, info))
    return _Member(info.name, info.isdir(), info.size, content)


class _BoundedStream:
    """What tarfile reads from: no huge headers, no more bytes in all than an archive may hold."""

    def __init__(self, stream: IO[bytes], budget: _Budget) -> None:
        self._stream = stream
        self._budget = budget
        self.last = b""

    def read(self, count: int) -> bytes:
        if count > _LARGEST_HEADER:
            raise _Rejected(f"it has a header of {count} bytes")
        self.last = self._stream.read(count)
        self._check(self._stream.tell())
        return self.last

    def seek(self, position: int) -> int:
        self._check(position)
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()

    def _check(self, position: int) -> None:
        # Headers and padding come on top of what the members hold.
        overhead = _LARGEST_HEADER + _HEADERS_A_MEMBER * self._budget.members
        self._budget.check(position - overhead)
