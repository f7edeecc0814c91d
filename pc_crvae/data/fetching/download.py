"""Fetching the files of a data set as its card lists them: mirrors in turn, checked, unpacked.

Pooch holds a download against its hash before it takes its place; going on where a download broke
off, mirrors, room on the disk and safe unpacking are added here. All of it happens in the folder
``.fetching/<set>`` inside the data set's own: a file leaves it once it is whole and checked.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import pooch
from rich.console import Console
from rich.filesize import decimal

from pc_crvae.data.cards import Card, Source
from pc_crvae.data.fetching.archives import ArchiveRejected, unpack
from pc_crvae.data.fetching.record import (
    RECORD_NAME,
    FetchedFile,
    read_record,
    write_record,
)
from pc_crvae.data.fetching.transfer import Transfer, TransferError
from pc_crvae.errors import UserError, printable
from pc_crvae.utils.progress import download_bar

_STAGING = ".fetching"
_LOCK = ".fetching.lock"
_MOST_ATTEMPTS = 20
_BETWEEN_ATTEMPTS = 2.0  # seconds
_MOST_SHOWN = 5


def fetch(card: Card, folder: Path, *, console: Console | None = None) -> list[Path]:
    """Fetch the sources of ``card`` into ``folder``; what is there already is checked and kept.

    Every source lies in ``folder`` under its own name. An archive to unpack is unpacked beside
    itself: what its top holds lies in ``folder``, or, where its top is one folder called as the
    card's, what that one holds. The archive may be removed afterwards.

    A file is held against the card's size and sha256; where the card knows no sha256, against
    the one noted in ``folder`` when the file was first seen. A file put there by hand is taken
    as if it had been downloaded, if it is the right one, and is replaced once the right one has
    come, if it is not.

    Interrupted, fetching keeps what has come and goes on from there the next time. Until it has
    ended,
    :func:`pc_crvae.data.fetching.record.refuse_unfinished` keeps ``folder`` from being loaded.

    Args:
        card: the data set, one that names files to download and is not gated.
        folder: the folder that its files belong in; made if need be.
        console: shows the progress, live on a terminal; standard output if None.

    Returns:
        The sources that are there, and the files and folders at the top of what was unpacked.

    Raises:
        UserError: no mirror gave a file (the sentence says what each did and how to fetch it by
            hand), an archive is refused, the disk is full or another process is fetching into
            ``folder``.
    """
    folder = folder.expanduser()
    pooch.get_logger().setLevel("WARNING")  # what it would say, the progress does
    try:
        with _alone(folder, card.name):
            return _Fetch(card, folder, console or Console()).run()
    except OSError as error:
        raise UserError(
            f"could not write into {folder}: {error.strerror or error}; free some space or choose "
            f"another place, and fetch {card.name} again, which goes on from there"
        ) from error


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    """Make ``folder``, keep other processes out, and leave no more behind than what came."""
    is_new = not folder.exists()
    staging = folder / _STAGING / name
    staging.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(folder / _LOCK, timeout=0):
            yield
            shutil.rmtree(staging)
    except filelock.Timeout:
        raise UserError(f"another process is fetching {name} into {folder}: wait for it") from None
    finally:
        _tidy(folder, staging, is_new)


def _tidy(folder: Path, staging: Path, is_new: bool) -> None:
    if staging.exists() and not any(staging.iterdir()):
        staging.rmdir()
    if any((folder / _STAGING).iterdir()):
        return
    (folder / _STAGING).rmdir()
    (folder / _LOCK).unlink(missing_ok=True)
    if is_new and {path.name for path in folder.iterdir()} <= {RECORD_NAME}:
        shutil.rmtree(folder)


class _Fetch:
    """One run of `fetch`, and what it notes meanwhile."""

    def __init__(self, card: Card, folder: Path, console: Console) -> None:
        self._card = card
        self._folder = folder
        self._staging = folder / _STAGING / card.name
        self._console = console
        self._record = read_record(folder)

    def run(self) -> list[Path]:
        self._reject_what_is_not_ours()
        if not any(_visible(self._folder)):
            self._note_unfinished(True)
        for source in self._card.sources:
            # Once it is unpacked, an archive may be removed.
            if (self._folder / source.file).exists() or not self._is_unpacked(source):
                self._have(source)
        for source in self._card.sources:
            if source.unpack and not self._is_unpacked(source):
                self._unpack(source)
        self._note_unfinished(False)
        return self._all_paths()

    def _reject_what_is_not_ours(self) -> None:
        """Before hundreds of megabytes come that would have to be laid over what is there."""
        if all(not source.unpack or self._is_unpacked(source) for source in self._card.sources):
            return
        ours = {source.file for source in self._card.sources} | self._record.files.keys()
        for file in self._record.files.values():
            ours.update(file.unpacked)
        others = [name for name in _visible(self._folder) if name not in ours]
        if others:
            raise UserError(
                f"{self._folder} holds files that no fetch put there ({_listed(others)}): if they "
                f"are {self._card.name}, there is nothing to fetch; if not, move them away first"
            )

    def _have(self, source: Source) -> None:
        """See to it that the right file lies in the folder, and is noted."""
        path = self._folder / source.file
        noted = self._record.files.get(source.file)
        known = source.sha256 or (None if noted is None else noted.sha256)
        if path.exists():
            found, problem = self._look_at(path, source, known)
            if problem is None:
                self._note_hash(source, found)
                return
            self._say(f"{path} {problem}, so it is fetched anew")
        arrived = self._download(source, known)
        found = known or pooch.file_hash(str(arrived))
        arrived.replace(path)
        self._note_hash(source, found)
        self._note_unfinished(True)

    def _look_at(self, path: Path, source: Source, known: str | None) -> tuple[str, str | None]:
        """Return the file's sha256, and what is wrong with the file."""
        size = path.stat().st_size
        if source.size not in (None, size):
            return "", f"has {size} bytes, not {source.size}"
        if size == 0:
            return "", "is empty"
        found = pooch.file_hash(str(path))
        if known not in (None, found):
            return "", f"has another sha256 than {self._who_knows(source)}"
        return found, None

    def _who_knows(self, source: Source) -> str:
        if source.sha256 is not None:
            return "the card states"
        return f"was noted when it was first seen ({self._folder / RECORD_NAME})"

    def _download(self, source: Source, known: str | None) -> Path:
        """Return the whole and checked file in the staging folder."""
        failures = []
        with download_bar(self._console) as bar:
            task = bar.add_task(source.file, total=source.size)
            transfer = Transfer(
                self._staging / f"{source.file}.part",
                size=source.size,
                checked=known is not None,
                report=lambda done, total: bar.update(task, completed=done, total=total),
            )
            # A partial file is of use to the mirror that it came from.
            for url in sorted(source.urls, key=lambda url: url != transfer.part_url):
                self._say(f"fetching {source.file} from {url}")
                failure = self._try_mirror(url, source, known, transfer)
                if failure is None:
                    return self._staging / source.file
                failures.append(f"{url} {failure}")
                self._say(failures[-1])
            kept = transfer.part_size
        raise UserError(self._how_to_go_on(source, failures, kept))

    def _try_mirror(
        self, url: str, source: Source, known: str | None, transfer: Transfer
    ) -> str | None:
        """Return what went wrong with a mirror, None where it gave the file."""
        best = transfer.part_size if transfer.part_url == url else 0
        expected = None if known is None else f"sha256:{known}"
        for _ in range(_MOST_ATTEMPTS):
            try:
                pooch.retrieve(
                    url, expected, fname=source.file, path=self._staging, downloader=transfer
                )
            except TransferError as error:
                failure = str(error)
                if not error.broke_off or transfer.part_size <= best:
                    return failure
                best = transfer.part_size
                time.sleep(_BETWEEN_ATTEMPTS)
            except UserError:
                raise
            except ValueError:
                failure = f"gives a file with another sha256 than {self._who_knows(source)}"
                # Put together from parts, it may be the parts that do not fit.
                if not transfer.resumed:
                    return failure
                best = 0
            else:
                return None
        return failure

    def _how_to_go_on(self, source: Source, failures: list[str], kept: int) -> str:
        page = "" if self._card.homepage is None else f" (its page is {self._card.homepage})"
        by_hand = (
            f"on a machine without a connection, put it into {self._folder} by hand{page} and "
            f"fetch {self._card.name} again"
        )
        if self._card.manual_steps is not None:
            by_hand += f", or do without fetching: {self._card.manual_steps.strip().rstrip('.')}"
        again = f"; {decimal(kept)} that came are kept for the next fetch" if kept else ""
        return f"could not fetch {source.file}: {'; '.join(failures)}{again}; {by_hand}"

    def _is_unpacked(self, source: Source) -> bool:
        noted = self._record.files.get(source.file)
        return (
            noted is not None
            and noted.unpacked_from == noted.sha256
            and source.sha256 in (None, noted.sha256)
            and all((self._folder / name).exists() for name in noted.unpacked)
        )

    def _unpack(self, source: Source) -> None:
        self._say(f"unpacking {source.file}")
        fresh = self._staging / ".unpacked"
        files = self._record.files
        noted = files[source.file]
        try:
            unpack(self._folder / source.file, fresh, strip=self._card.folder)
        except ArchiveRejected as refusal:
            if source.sha256 is None and not noted.unpacked:
                # What was noted at first sight was not worth it: a better file has another hash.
                others = {name: file for name, file in files.items() if name != source.file}
                self._keep(files=others)
            raise UserError(f"{refusal}; remove it and fetch {self._card.name} again") from refusal
        names = sorted(path.name for path in fresh.iterdir())
        new = [name for name in names if name not in noted.unpacked]
        taken = [name for name in new if (self._folder / name).exists()]
        if taken:
            raise UserError(
                f"{source.file} was not unpacked, because {self._folder} holds {_listed(taken)} "
                f"already: move it away and fetch {self._card.name} again"
            )
        # Noted first: killed while it moves them, the next fetch knows whose they are.
        both = tuple(sorted({*names, *noted.unpacked}))
        moving = FetchedFile(sha256=noted.sha256, unpacked=both)
        self._note_unfinished(True)
        self._note(source.file, moving)
        for name in noted.unpacked:
            _remove(self._folder / name)
        for name in names:
            (fresh / name).replace(self._folder / name)
        fresh.rmdir()
        if hasattr(os, "sync"):
            os.sync()  # Noted as whole, it must be whole after a power cut, too.
        whole = FetchedFile(sha256=noted.sha256, unpacked=tuple(names), unpacked_from=noted.sha256)
        self._note(source.file, whole)

    def _all_paths(self) -> list[Path]:
        paths = []
        for source in self._card.sources:
            paths.append(self._folder / source.file)
            if source.unpack:
                paths += [self._folder / name for name in self._record.files[source.file].unpacked]
        return [path for path in paths if path.exists()]

    def _note_hash(self, source: Source, sha256: str) -> None:
        noted = self._record.files.get(source.file) or FetchedFile(sha256=sha256)
        self._note(source.file, noted.model_copy(update={"sha256": sha256}))

    def _note(self, name: str, file: FetchedFile) -> None:
        self._keep(files=self._record.files | {name: file})

    def _note_unfinished(self, is_unfinished: bool) -> None:
        sets = {*self._record.unfinished, self._card.name}
        left = sets if is_unfinished else sets - {self._card.name}
        self._keep(unfinished=tuple(sorted(left)))

    def _keep(self, **changed: Any) -> None:
        record = self._record.model_copy(update=changed)
        if record != self._record:
            write_record(self._folder, record)
            self._record = record

    def _say(self, text: str) -> None:
        self._console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def _visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def _listed(names: list[str]) -> str:
    more = ", ..." if len(names) > _MOST_SHOWN else ""
    return ", ".join(names[:_MOST_SHOWN]) + more


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
