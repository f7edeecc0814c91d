"""A small server that shows a collection's page, and the nearest shapes of files dropped on it.

It answers two requests: for the page, which it holds in memory, and for the shapes nearest to a
file that comes with the request. No request names a file to open. What comes is written to a
temporary folder for as long as it takes to read it.
"""

import json
import os
import socket
import socketserver
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pc_crvae.collection.dropped import MOST_SECONDS, DroppedReader
from pc_crvae.collection.lookup import Lookup
from pc_crvae.collection.requests import Gate, RefusedError, name_of
from pc_crvae.collection.served_page import served_page
from pc_crvae.data.formats.registry import FORMATS
from pc_crvae.embedding.index import Embeddings
from pc_crvae.errors import UserError, told

if TYPE_CHECKING:
    from pc_crvae.runs.saved import SavedModel

LOOPBACK = "127.0.0.1"

MOST_SENT = 256 * 2**20
"""Bytes of a dropped file."""

_MOST_AT_ONCE = 4  # files that are taken in or wait to be read
_SECONDS_TO_SEND = 300.0  # a whole file
_SECONDS_TO_LEAVE = 2.0  # for whom nothing is done
_SECONDS_SILENT = 30.0  # between two parts of a request
_PART = 1 << 16

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
}


@contextmanager
def serving(
    page: Path,
    embeddings: Embeddings,
    saved: "SavedModel",
    *,
    host: str = LOOPBACK,
    port: int = 0,
    seconds: float = MOST_SECONDS,
) -> Iterator[str]:
    """Serve the page of a collection, in threads, until the context ends.

    ::

        saved = SavedModel.open("pretrained-so3", "last", device="auto")
        explored = pc_crvae.explore("MY_PARTS", out="review")
        with serving(explored.page, explored.collection.embeddings, saved) as address:
            input(f"open {address}, and press Enter to end")

    Args:
        page: the page, as :func:`pc_crvae.collection.explore.explore` wrote it.
        embeddings: the vectors of the page's shapes.
        saved: the model that made them.
        host: the name or address to listen on. Other machines reach all but ``127.0.0.1``, ``::1``
            and ``localhost``; what they send and see is not encrypted.
        port: the port to listen on; 0 for any that is free.
        seconds: the time in which a dropped file has to be read.

    Yields:
        The address of the page, which holds a token that nobody else knows.

    Raises:
        UserError: the page is another collection's or of another version, another model made the
            vectors, or the address cannot be listened on.
    """
    text = served_page(page, embeddings, most_sent=MOST_SENT)
    gate, about = Gate(host), embeddings.about.for_queries()
    with (
        tempfile.TemporaryDirectory(prefix="pc-crvae-", ignore_cleanup_errors=True) as folder,
        closing(DroppedReader(about.points, about.up, seconds)) as reader,
    ):
        lookup = Lookup(embeddings, saved, reader)
        with _listening(host, port) as server:
            server.prepare(gate, text.encode("utf-8"), lookup, Path(folder))
            reader.start()
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield f"http://{_in_address(host)}:{server.server_address[1]}/{gate.token}/"
            finally:
                server.shutdown()
                thread.join()


def _in_address(host: str) -> str:
    if host in ("0.0.0.0", "::"):  # every address of this machine
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _listening(host: str, port: int) -> "_Server":
    if not 0 <= port <= 65535:
        raise UserError(f"a port is a number from 0 to 65535, not {port}")
    remedy = "choose another, or 0 for any that is free"
    with told(f"port {port} of {host} cannot be listened on", OSError, remedy=remedy):
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return _Server(host, port, family)


class _Server(ThreadingHTTPServer):
    """What listens; :meth:`prepare` says what it answers."""

    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # elsewhere it would share a port that is in use

    def __init__(self, host: str, port: int, family: int) -> None:
        self.address_family = socket.AddressFamily(family)
        super().__init__((host, port), _Request)

    def prepare(self, gate: Gate, page: bytes, lookup: Lookup, folder: Path) -> None:
        self.gate, self.page, self.lookup, self.folder = gate, page, lookup, folder
        self.places = threading.BoundedSemaphore(_MOST_AT_ONCE)

    def server_bind(self) -> None:
        # Without that of HTTPServer, which asks the network for the name of this machine.
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):  # they left
            super().handle_error(request, client_address)


class _Request(BaseHTTPRequestHandler):
    server_version = "pc-crvae"
    sys_version = ""
    timeout = _SECONDS_SILENT

    @property
    def own(self) -> _Server:
        return cast(_Server, self.server)

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def _answer(self, method: str) -> None:
        try:
            place, query = self.own.gate.admit(
                self.path, self.headers["Host"], self.headers["Origin"]
            )
            if (method, place) == ("GET", ""):
                self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.own.page)
            elif (method, place) == ("POST", "nearest"):
                self._send_json(HTTPStatus.OK, self._nearest(name_of(query)))
            else:
                raise RefusedError(HTTPStatus.NOT_FOUND, "there is nothing at this address")
        except RefusedError as refusal:
            self._refuse(refusal.status, str(refusal))
        except RuntimeError as error:  # of the code, whose traceback the reader wrote
            sentence = f"{error}: the terminal of the server says how"
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, sentence)

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        self._send_json(status, {"refused": sentence})
        # Closed with bytes unread, the connection would be reset before the sentence is read.
        ends = time.monotonic() + _SECONDS_TO_LEAVE
        with suppress(OSError):  # who has left reads no sentence
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_SECONDS_TO_LEAVE)
            while time.monotonic() < ends and self.rfile.read1(_PART):
                pass

    def _nearest(self, name: str) -> dict[str, Any]:
        size = self._size()
        if not self.own.places.acquire(blocking=False):
            raise RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE, "other files wait to be read: try again in a moment"
            )
        try:
            suffix = Path(name).suffix.lower()
            known = suffix if suffix in FORMATS else ""
            handle, place = tempfile.mkstemp(known, dir=self.own.folder)
            path = Path(place)
            try:
                self._receive(handle, size)
                return self.own.lookup.nearest(path, name)
            except UserError as error:  # of the file: the request itself was right
                return {"refused": str(error)}
            finally:
                path.unlink(missing_ok=True)
        finally:
            self.own.places.release()

    def _size(self) -> int:
        text = self.headers.get("Content-Length", "")
        if not text.isascii() or not text.isdigit():
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "the request does not say its length")
        size = int(text[:20])
        if size > MOST_SENT:
            sentence = f"the file has more than {MOST_SENT >> 20} MB: simplify it"
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)
        return size

    def _receive(self, handle: int, size: int) -> None:
        ends = time.monotonic() + _SECONDS_TO_SEND
        with os.fdopen(handle, "wb") as file:
            while size:
                part = self.rfile.read1(min(_PART, size)) if time.monotonic() < ends else b""
                if not part:
                    raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, "the file did not come whole")
                file.write(part)
                size -= len(part)

    def _send_json(self, status: HTTPStatus, values: dict[str, Any]) -> None:
        content = json.dumps(values).encode("utf-8")
        self._send(status, "application/json; charset=utf-8", content)

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: the address holds the token."""
