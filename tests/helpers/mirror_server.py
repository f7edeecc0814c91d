"""A local HTTP server that stands in for mirrors, and misbehaves as they do."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Answer:
    """How a path is answered.

    Args:
        content: the whole file.
        status: 200 gives the file, a redirect goes to ``location``, others an error.
        reason: what is said beside the status, where it is not the usual.
        ranges: whether the rest of the file can be asked for.
        conditions: whether If-Range is heeded; without it, any rest is given.
        tag: its ETag.
        changed: its Last-Modified.
        breaks_after: bytes after which the connection is cut, though all were promised.
        promised: the Content-Length, where it is not the true one; False sends chunks instead.
        range_shift: bytes by which a rest begins later than was asked for.
        total_shown: the size of the whole file that a rest is said to be of.
        hangs_after: bytes after which nothing comes any more.
        drips: seconds between two single bytes.
    """

    content: bytes = b""
    status: int = 200
    reason: str | None = None
    location: str = ""
    kind: str = "application/octet-stream"
    ranges: bool = True
    conditions: bool = True
    tag: str | None = None
    changed: str | None = None
    breaks_after: int | None = None
    promised: int | bool | None = None
    range_shift: int = 0
    total_shown: int | None = None
    hangs_after: int | None = None
    drips: float = 0.0


@dataclass
class MirrorServer:
    """Answers paths as it was told to, and notes what it was asked."""

    address: str = ""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def serve(self, path: str, *answers: Answer) -> str:
        """Give the answers in turn, the last one from then on; return the address."""
        self.answers[path] = list(answers)
        return self.address + path

    def ranges_asked(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.requests]

    def answer(self, path: str) -> Answer:
        queue = self.answers.get(path)
        if not queue:
            return Answer(status=404)
        return queue.pop(0) if len(queue) > 1 else queue[0]


@contextmanager
def mirror_server() -> Iterator[MirrorServer]:
    """Run a server on a free port of this machine while the block runs."""
    mirror = MirrorServer()

    class Handler(_Handler):
        state = mirror

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    mirror.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield mirror
    finally:
        mirror.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: MirrorServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.state.requests.append((self.path, dict(self.headers)))
        answer = self.state.answer(self.path)
        self.close_connection = True
        start = self._start(answer)
        start += answer.range_shift if start > 0 else 0
        body = answer.content[start:]
        status = 206 if start > 0 and answer.status == 200 else answer.status
        if start > 0 and not body:
            status = 416
        self.send_response(status, answer.reason)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Connection", "close")
        if answer.location:
            self.send_header("Location", answer.location)
        if answer.tag is not None:
            self.send_header("ETag", answer.tag)
        if answer.changed is not None:
            self.send_header("Last-Modified", answer.changed)
        if status == 206:
            total = answer.total_shown or len(answer.content)
            self.send_header("Content-Range", f"bytes {start}-{len(answer.content) - 1}/{total}")
        if answer.promised is False:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            promised = len(body) if answer.promised is None else answer.promised
            self.send_header("Content-Length", str(promised))
        self.end_headers()
        self._send(answer, body)

    def _start(self, answer: Answer) -> int:
        asked = self.headers.get("Range")
        condition = self.headers.get("If-Range")
        if asked is None or not answer.ranges:
            return 0
        if answer.conditions and condition not in (None, answer.tag, answer.changed):
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _send(self, answer: Answer, body: bytes) -> None:
        stop_at = [at for at in (answer.breaks_after, answer.hangs_after) if at is not None]
        body = body[: min(stop_at)] if stop_at else body
        step = 1 if answer.drips else 2**16
        try:
            for at in range(0, len(body), step):
                piece = body[at : at + step]
                if answer.promised is False:
                    piece = b"%x\r\n%s\r\n" % (len(piece), piece)
                self.wfile.write(piece)
                self.wfile.flush()
                if answer.drips and self.state.stopped.wait(answer.drips):
                    return
            if answer.hangs_after is not None:
                self.state.stopped.wait(30)
            elif answer.promised is False and answer.breaks_after is None:
                self.wfile.write(b"0\r\n\r\n")
        except OSError:
            pass  # The other side has hung up.
