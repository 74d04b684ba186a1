"""Files that are published one by one, fetched from a server of this test's own."""

from __future__ import annotations

import bz2
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.published_files import fetch_file

CONTENT = bytes(range(256)) * 40


class Publisher(http.server.BaseHTTPRequestHandler):
    """One file as it is, the same packed, one that breaks off, and no other."""

    def do_GET(self) -> None:
        """The file of a path."""
        if self.path == "/broken":
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:100])
            return
        content = {"/file": CONTENT, "/file.bz2": bz2.compress(CONTENT)}.get(self.path)
        self.send_response(404 if content is None else 200)
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_: object) -> None:
        """Nothing: the test's own output is enough."""


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Publisher) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["file", "file.bz2"])
def test_the_first_address_that_gives_it(server: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "weights" / "model.onnx"
    assert fetch_file(path, [f"{server}/nothing", f"{server}/{name}"]) == len(CONTENT)
    assert path.read_bytes() == CONTENT
    # What is here is not fetched again.
    assert fetch_file(path, ["http://127.0.0.1:1/"]) == 0
    assert [one.name for one in path.parent.iterdir()] == ["model.onnx"]


def test_every_address_that_refused_is_named(server: str, tmp_path: Path) -> None:
    addresses = [f"{server}/nothing", "http://127.0.0.1:1/file"]
    with pytest.raises(ValueError, match="bring the file there by hand") as told:
        fetch_file(tmp_path / "model.onnx", addresses)
    assert all(address in str(told.value) for address in addresses)
    assert "Not Found" in str(told.value)
    assert not list(tmp_path.iterdir())


def test_a_download_that_breaks_off_is_no_file(server: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="of 10240"):
        fetch_file(tmp_path / "model.onnx", [f"{server}/broken"])
    assert not list(tmp_path.iterdir())
