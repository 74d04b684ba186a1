"""Files that are published one by one, fetched from a server of this test's own."""

from __future__ import annotations

import bz2
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.published_files import MEASURES, PublishedFile, check_published, fetch_file

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


def test_another_file_than_the_published_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(CONTENT)
    whole = hashlib.sha256(CONTENT).hexdigest()
    for known in (whole, whole[:8], ""):
        for count in (len(CONTENT), None):
            check_published(path, PublishedFile(path="x", url="u", sha256=known, bytes=count))
    for known, count in (("0" * 8, None), (whole, 3)):
        with pytest.raises(ValueError, match=r"has 10,240 bytes and sha256 .*fetch it again"):
            check_published(path, PublishedFile(path="x", url="u", sha256=known, bytes=count))


def test_what_measures_read_is_named_as_published() -> None:
    for file in (one for files in MEASURES.values() for one in files):
        assert file.url.endswith(file.path)
        assert file.sha256 in file.path or len(file.sha256) == 64
