"""The check of external links tells what answers from what does not."""

import http.server
import threading
from pathlib import Path

import pytest

from acceptance.check_links import main


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({"/there": 200, "/browsers-only": 403}.get(self.path, 404))
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def page(folder: Path, name: str, *links: str) -> None:
    (folder / name).write_text("".join(f'<a class="x" href="{link}">link</a>' for link in links))


def test_what_does_not_answer_is_named_with_its_page(tmp_path, address, capsys):
    page(tmp_path, "a.html", f"{address}/there#part", f"{address}/browsers-only", "local.html")
    page(tmp_path, "b.html", f"{address}/gone", f"{address}/there")
    assert main(tmp_path) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{address}/gone: status 404; linked to in b.html",
        "3 addresses, 1 broken",
    ]


def test_a_server_that_is_not_there_is_broken(tmp_path, capsys):
    page(tmp_path, "a.html", "http://127.0.0.1:9/nobody")
    assert main(tmp_path) == 1
    assert "ConnectionError" in capsys.readouterr().out
