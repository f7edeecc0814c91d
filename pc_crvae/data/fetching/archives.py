"""Unpacking archives that came from elsewhere: within a folder and within bounds, or not at all.

Zip files, and tar files plain or compressed by gzip, bzip2 or xz, told apart by their first bytes.
Files are written by this module, not by the libraries that read the archives, so that every byte
is counted as it is written and no permission bit, owner or time is taken over.
"""

import bz2
import gzip
import lzma
import shutil
import stat
import tarfile
import unicodedata
import uuid
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

from rich.filesize import decimal

from pc_crvae.errors import UserError
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
    written, than `MOST_BYTES` or a generous multiple of its own size; that has more than
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
        try:
            with closing(_members_of(archive, folder, budget)) as members:
                _extract(members, folder, budget)
        except UserError:
            raise
        except _Rejected as refusal:
            raise ArchiveRejected(f"{archive} was not unpacked: {refusal}") from refusal
        except _DAMAGE as error:
            raise _damaged(archive, error) from error
        except OSError as error:
            # The decompressors say with an OSError, too, that bytes make no sense to them.
            if error.errno is None:
                raise _damaged(archive, error) from error
            raise
        if strip is not None:
            _lift(folder, strip)


def _damaged(archive: Path, error: Exception) -> ArchiveRejected:
    reason = str(error) or type(error).__name__
    return ArchiveRejected(f"{archive} was not unpacked: it is damaged or cut short ({reason})")


class _Budget:
    """What may still be unpacked of one archive."""

    def __init__(self, archive: Path) -> None:
        size = archive.stat().st_size
        self.most_bytes = min(MOST_BYTES, max(_ALWAYS_ALLOWED, _MOST_TO_ONE * size))
        self._bytes = 0
        self.members = 0
        self._too_large = (
            f"it unpacks to more than {decimal(self.most_bytes)}, the bound for a file of its size "
            f"({decimal(size)})"
        )

    def spend(self, count: int) -> None:
        self._bytes += count
        self.check(self._bytes)

    def check(self, total: int) -> None:
        """Refuse a total that is promised, or that a decompressor has come to."""
        if total > self.most_bytes:
            raise _Rejected(self._too_large)

    def count_member(self) -> None:
        self.members += 1
        self.check_members(self.members)

    def check_members(self, count: int) -> None:
        if count > MOST_MEMBERS:
            raise _Rejected(f"it holds more than {MOST_MEMBERS} files and folders")


def _extract(members: Iterable[_Member], folder: Path, budget: _Budget) -> None:
    names = _Names()
    files = 0
    for member in members:
        budget.count_member()
        parts = _parts(member.name)
        names.add(parts, "folder" if member.is_folder else "file")
        if _is_rubbish(parts):
            continue
        path = folder.joinpath(*parts)
        if member.is_folder:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(member, path, budget)
        files += 1
    if files == 0:
        raise _Rejected("it holds no file")


def _write(member: _Member, path: Path, budget: _Budget) -> None:
    written = 0
    with member.open() as content, path.open("xb") as file:
        while block := content.read(_BLOCK):
            budget.spend(len(block))
            written += len(block)
            file.write(block)
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


class _Names:
    """Names seen so far, as a file system sees them that ignores letter case."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, ...], tuple[str, str]] = {}

    def add(self, parts: tuple[str, ...], kind: Literal["file", "folder"]) -> None:
        folded = tuple(map(_folded, parts))
        for depth in range(1, len(parts)):
            self._add(folded[:depth], parts[:depth], "folder")
        if parts:
            self._add(folded, parts, kind)

    def _add(self, folded: tuple[str, ...], parts: tuple[str, ...], kind: str) -> None:
        now = (parts[-1], kind)
        before = self._seen.setdefault(folded, now)
        if kind == "file" and before is now:
            return
        if before != now or kind == "file":
            raise _Rejected(
                f"two members of it have the name {'/'.join(parts)!r} where letter case is ignored"
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
        budget.check_members(len(infos))
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

            def content(info: zipfile.ZipInfo = info) -> IO[bytes]:
                return opened.open(info)

            yield _Member(name, name.endswith("/"), info.file_size, content)


def _tar_members(
    archive: Path, opener: _Opener, folder: Path, budget: _Budget
) -> Generator[_Member, None, None]:
    with ExitStack() as stack:
        plain = stack.enter_context(opener(archive, "rb"))
        stream = _BoundedStream(plain, budget)
        opened = stack.enter_context(tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:"))
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

    def content() -> IO[bytes]:
        return cast(IO[bytes], opened.extractfile(info))

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
