"""One file over HTTP into one file on disk, going on where an earlier attempt broke off.

Beside the partial file lies a note of the address it came from and of the version the server gave
it (RFC 9110: a strong entity tag, or else the date of the last change). The rest is asked for under
the condition that the version is still the same; from a server that knows no ranges, or holds
another version by now, all of it comes anew.
"""

import http
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from rich.filesize import decimal

from pc_crvae.errors import UserError, printable
from pc_crvae.utils.files import write_text
from pc_crvae.utils.validation import StrictModel
from pc_crvae.version import __version__

ReportProgress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes there will be, if the server says."""

_BLOCK = 2**16
_MOST_REDIRECTS = 10
_KEPT_FREE = 2**26
"""Bytes of the disk that a download leaves to everything else."""


_TO_CONNECT = 15.0
"""Seconds that a server is waited for until it is connected."""

_FOR_BYTES = 60.0
"""Seconds of silence until a server is given up; one that lets bytes drip is, too."""

_SLOWEST = 1024.0
"""Bytes a second, on average over as long, that a server has to send."""


class TransferError(Exception):
    """A server did not give the file.

    Args:
        reason: what the server did, in words that follow its address.
        broke_off: whether it had begun to give the file, so that it can be asked for the rest.
    """

    def __init__(self, reason: str, *, broke_off: bool = False) -> None:
        super().__init__(printable(reason))  # a server says what it likes
        self.broke_off = broke_off


class _Note(StrictModel):
    """Which version of which address a partial file is of."""

    url: str
    tag: str | None
    changed: str | None
    total: int | None

    @property
    def condition(self) -> str | None:
        """The value of If-Range that asks for this version only."""
        if self.tag is not None and not self.tag.startswith("W/"):
            return self.tag
        return self.changed


@dataclass
class Transfer:
    """A downloader in pooch's sense: called with an address and the path to write to.

    Redirects are followed, but not from https to http: what was asked for over an encrypted
    connection does not come over an open one.

    Args:
        part: the partial file, kept when an attempt breaks off; its folder is there.
        size: bytes the file has, if known; another number is refused.
        checked: whether the caller knows the file's hash, so that it may be gone on with where
            the server states no version.
        report: the function that gets the progress.
    """

    part: Path
    _: KW_ONLY
    size: int | None
    checked: bool
    report: ReportProgress
    resumed: bool = field(default=False, init=False)
    """Whether the latest file is put together from several attempts."""

    @property
    def _note_path(self) -> Path:
        return self.part.with_name(f"{self.part.name}.json")

    @property
    def part_size(self) -> int:
        """Bytes of the partial file."""
        return self.part.stat().st_size if self.part.exists() else 0

    @property
    def part_url(self) -> str | None:
        """The address that the partial file came from."""
        note = self._read_note()
        return note.url if note is not None and self.part_size > 0 else None

    def discard(self) -> None:
        """Forget the partial file."""
        self.part.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Write the file at ``url`` to ``output_file``.

        Raises:
            TransferError: the server did not give it; what came is kept for the next call.
            UserError: the disk has no room for it.
            OSError: it could not be written.
        """
        self.resumed = False
        start, note = self._where_to_go_on(url)
        if note is None or start != self._expected(note):
            self._receive(url, start, note)
        self.part.replace(output_file)
        self._note_path.unlink(missing_ok=True)

    def _receive(self, url: str, start: int, note: _Note | None) -> None:
        with _Session() as session:
            response = self._ask(session, url, start, note)
            if start > 0 and not _is_the_rest(response, start, note):
                start = 0
                # A server without ranges has sent all of it; otherwise it is to be asked for.
                if response.status_code != http.HTTPStatus.OK:
                    response.close()
                    response = self._ask(session, url, 0, None)
            with response:
                if start == 0:
                    _reject_other_answers(response)
                    total = _length(response)
                    if self.size is not None and total not in (None, self.size):
                        raise TransferError(f"has a file of {total} bytes, not of {self.size}")
                    self._begin(response, url, total)
                else:
                    assert note is not None
                    total = note.total
                    self.resumed = True
                self._append(response, start, total)

    def _where_to_go_on(self, url: str) -> tuple[int, _Note | None]:
        note, start = self._read_note(), self.part_size
        if note is None or note.url != url or start == 0:
            return 0, None
        if note.condition is None and not self.checked:
            return 0, None
        most = self._expected(note)
        if most is not None and (start > most or note.total not in (None, most)):
            return 0, None
        return start, note

    def _expected(self, note: _Note) -> int | None:
        return note.total if self.size is None else self.size

    def _ask(
        self, session: requests.Session, url: str, start: int, note: _Note | None
    ) -> requests.Response:
        # The bytes as they are stored: a file that is compressed stays so.
        headers = {"Accept-Encoding": "identity"}
        if start > 0:
            headers["Range"] = f"bytes={start}-"
            if note is not None and note.condition is not None:
                headers["If-Range"] = note.condition
        try:
            return session.get(url, headers=headers, stream=True, timeout=(_TO_CONNECT, _FOR_BYTES))
        except requests.TooManyRedirects:
            raise TransferError(f"redirects more than {_MOST_REDIRECTS} times") from None
        except requests.exceptions.SSLError as error:
            raise TransferError(f"could not be reached over TLS ({_root_of(error)})") from error
        except requests.ConnectTimeout as error:
            raise TransferError(f"did not answer for {_TO_CONNECT:g} s") from error
        except requests.Timeout as error:
            raise TransferError(f"did not answer for {_FOR_BYTES:g} s") from error
        except requests.RequestException as error:
            raise TransferError(f"could not be reached ({_root_of(error)})") from error

    def _begin(self, response: requests.Response, url: str, total: int | None) -> None:
        self.part.write_bytes(b"")
        known = response.headers
        tag, changed = known.get("ETag"), known.get("Last-Modified")
        note = _Note(url=url, tag=tag, changed=changed, total=total)
        write_text(self._note_path, note.model_dump_json())

    def _append(self, response: requests.Response, start: int, total: int | None) -> None:
        done = start
        expected = self.size if total is None else total
        with self.part.open("ab") as file:
            for block in self._blocks(response):
                self._reject_full_disk(1 if expected is None else expected - done, expected)
                done += len(block)
                if expected is not None and done > expected:
                    file.close()
                    self.discard()
                    raise TransferError(f"sends more than the {expected} bytes there should be")
                file.write(block)
                self.report(done, expected)
            file.flush()
            os.fsync(file.fileno())
        if expected is not None and done < expected:
            raise TransferError(f"broke off after {done} of {expected} bytes", broke_off=True)
        if done == 0:
            self.discard()
            raise TransferError("sends an empty file")

    def _blocks(self, response: requests.Response) -> Iterator[bytes]:
        since, arrived = time.monotonic(), 0
        while True:
            try:
                # What has arrived, not as much as was asked for: dripping bytes are to be seen.
                block = response.raw.read1(_BLOCK, decode_content=False)
            except urllib3.exceptions.ReadTimeoutError as error:
                raise TransferError(f"fell silent for {_FOR_BYTES:g} s", broke_off=True) from error
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise TransferError(f"broke off ({_root_of(error)})", broke_off=True) from error
            if not block:
                return
            yield block
            arrived += len(block)
            passed = time.monotonic() - since
            if passed > _FOR_BYTES:
                if arrived < _SLOWEST * passed:
                    raise TransferError(
                        f"sent no more than {decimal(arrived)} in {passed:.0f} s", broke_off=True
                    )
                since, arrived = time.monotonic(), 0

    def _reject_full_disk(self, needed: int, total: int | None) -> None:
        free = shutil.disk_usage(self.part.parent).free
        if needed + _KEPT_FREE <= free:
            return
        if self.size is None:  # this server says so, and another one may not
            size = "whose size it does not say" if total is None else f"of {decimal(total)}"
            self.discard()
            raise TransferError(
                f"has a file {size}, for which there is no room: the disk of {self.part.parent} "
                f"has {decimal(free)} left"
            )
        raise UserError(
            f"the disk of {self.part.parent} has {decimal(free)} left, and "
            f"{self.part.stem} takes {decimal(needed)} more: free some space and run this "
            "again, which keeps what has come so far"
        )

    def _read_note(self) -> _Note | None:
        try:
            return _Note.model_validate_json(self._note_path.read_bytes())
        except (OSError, ValueError):
            return None  # Without it, or with a damaged one, the file is fetched from its start.


class _Session(requests.Session):
    def __init__(self) -> None:
        super().__init__()
        self.max_redirects = _MOST_REDIRECTS
        # Some hosts turn away what calls itself by the library's name.
        self.headers["User-Agent"] = f"pc-crvae/{__version__}"

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is None or urlsplit(resp.url).scheme != "https":
            return target
        if urlsplit(urljoin(resp.url, target)).scheme != "https":
            raise TransferError(f"redirects to an open connection ({target})")
        return target


def _is_the_rest(response: requests.Response, start: int, note: _Note | None) -> bool:
    """Whether ``response`` holds what comes after the first ``start`` bytes of the noted file."""
    if note is None or response.status_code != http.HTTPStatus.PARTIAL_CONTENT:
        return False
    stated = response.headers.get("Content-Range", "").strip()
    held = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", stated)
    if held is None or int(held[1]) != start:
        return False
    if held[3] != "*" and note.total is not None and int(held[3]) != note.total:
        return False
    # A server that knows ranges but not their condition sends the rest of another version.
    tag, changed = response.headers.get("ETag"), response.headers.get("Last-Modified")
    return tag in (None, note.tag) and changed in (None, note.changed)


def _reject_other_answers(response: requests.Response) -> None:
    if response.status_code != http.HTTPStatus.OK:
        raise TransferError(f"answered {response.status_code} {response.reason}")
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        raise TransferError("answered with a web page in place of the file")


def _length(response: requests.Response) -> int | None:
    text = response.headers.get("Content-Length", "")
    is_number = text.isdecimal() and len(text) < 20
    return int(text) if is_number and "Transfer-Encoding" not in response.headers else None


def _root_of(error: BaseException) -> str:
    """Return what lies at the bottom of an error that libraries have wrapped."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
