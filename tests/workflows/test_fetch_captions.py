"""`relume fetch --captions` brings a LLaVA here from a hub of this test's own."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path

from models.captioner.llava import PUBLISHED, captioner_files
from models.tiny.write import write
from shards.provenance import ROOT
from tests.workflows.test_fetch import COMMIT, Hub
from workflows.fetch import Arguments


def test_a_captioner_is_fetched_with_all_of_its_weights(tmp_path: Path) -> None:
    class LlavaHub(Hub):
        folder = write("llava", tmp_path / "hub")
        served: list[str] = []  # noqa: RUF012 - as its parent's

    (LlavaHub.folder / "pytorch_model.bin").write_bytes(bytes(50))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), LlavaHub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    online = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "workflows.fetch", "--captions", "--captioner", "tiny/flux"],
            env=online | {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home")},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert done.returncode == 0, done.stderr
    assert f"snapshots/{COMMIT}" in done.stdout
    folder = tmp_path / f"home/hub/models--tiny--flux/snapshots/{COMMIT}"
    assert captioner_files(folder) == captioner_files(LlavaHub.folder)
    assert not (folder / "pytorch_model.bin").exists()


def test_the_published_model_is_the_one_that_captions_by_default() -> None:
    from workflows.caption_arguments import Arguments as Captioning

    assert Arguments.captioner == Captioning.model == PUBLISHED
