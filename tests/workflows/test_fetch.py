"""`relume fetch` against a hub of this test's own, which speaks as the real one does."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from models.tiny.write import write
from shards.provenance import ROOT
from workflows.cli import main

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PRESET = """
[generator]
kind = "diffusers"

[stage.source]
model = "{model}"
revision = "{revision}"

[dataset.d]
prompt = "p"
count = 2
stages = ["source"]
"""


class Hub(http.server.BaseHTTPRequestHandler):
    """A few repositories: one that is open, one that is gated, and none of any other name."""

    folder: Path
    served: list[str]

    def do_GET(self) -> None:
        """Facts of a revision, its files, or one of them."""
        path = unquote(urlparse(self.path).path)
        if path.startswith("/api/models/gated/"):
            self._refuse(403, "GatedRepo")
        elif path.startswith("/api/models/tiny/flux/revision/"):
            if path.endswith("/main"):
                self._say({"id": "tiny/flux", "sha": COMMIT, "siblings": []})
            else:
                self._refuse(404, "RevisionNotFound")
        elif path == f"/api/models/tiny/flux/tree/{COMMIT}":
            files = [one for one in sorted(self.folder.rglob("*")) if one.is_file()]
            self._say([self._entry(one) for one in files])
        elif path.startswith(f"/tiny/flux/resolve/{COMMIT}/"):
            self._send_file(path.removeprefix(f"/tiny/flux/resolve/{COMMIT}/"))
        else:
            self._refuse(404, "RepoNotFound")

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Unheard."""

    def _entry(self, path: Path) -> dict[str, object]:
        where = path.relative_to(self.folder).as_posix()
        return {"type": "file", "path": where, "size": path.stat().st_size, "oid": _oid(path)}

    def _send_file(self, where: str) -> None:
        path = self.folder / where
        if self.command == "GET":
            self.served.append(where)
        self._answer(200, path.read_bytes(), ETag=f'"{_oid(path)}"')

    def _say(self, value: object) -> None:
        self._answer(200, json.dumps(value).encode())

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, b"", **{"X-Error-Code": code})

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"X-Repo-Commit": COMMIT, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _oid(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    Hub.folder = tmp_path_factory.mktemp("hub") / "flux"
    Hub.served = []
    write("flux-schnell", Hub.folder)
    # The whole model once more as a single file, and a picture: nothing that diffusers loads.
    (Hub.folder / "flux1-schnell.safetensors").write_bytes(bytes(1000))
    (Hub.folder / "grid.jpg").write_bytes(b"a picture")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", Hub.served
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(
    tmp_path: Path, endpoint: str, model: str, revision: str = "main"
) -> subprocess.CompletedProcess[str]:
    preset = tmp_path / "preset.toml"
    preset.write_text(PRESET.format(model=model, revision=revision))
    # Whatever else ran in this process has closed the way to the hub for itself.
    online = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    return subprocess.run(
        [sys.executable, "-m", "workflows.fetch", str(preset)],
        env=online | {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_model_is_fetched_once_and_then_makes_pictures(
    hub: tuple[str, list[str]], tmp_path: Path
) -> None:
    endpoint, served = hub
    done = fetch(tmp_path, endpoint, "tiny/flux")
    assert done.returncode == 0, done.stderr
    assert f"home/hub/models--tiny--flux/snapshots/{COMMIT}" in done.stdout
    assert f'pin it with: revision = "{COMMIT}"' in done.stderr
    assert "model_index.json" in served
    assert not {"flux1-schnell.safetensors", "grid.jpg"} & set(served)
    before = len(served)
    assert fetch(tmp_path, endpoint, "tiny/flux", COMMIT).returncode == 0
    assert len(served) == before
    # And without any hub it is found.
    program = (
        "from models.generators.diffusers_pair.checkpoint import find_checkpoint as find\n"
        "print(find('tiny/flux', 'main').revision)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == COMMIT


@pytest.mark.parametrize(
    ("model", "revision", "code", "told"),
    [
        ("gated/flux", "main", 2, "'gated/flux': is gated; accept its licence at https://"),
        ("no/such", "main", 2, "'no/such': is not on the hub, or not for you"),
        ("tiny/flux", "v9", 2, "'tiny/flux': has no revision 'v9'"),
    ],
)
def test_what_cannot_be_had_is_one_line(
    hub: tuple[str, list[str]], tmp_path: Path, model: str, revision: str, code: int, told: str
) -> None:
    done = fetch(tmp_path, hub[0], model, revision)
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_no_connection_is_no_wrong_input(tmp_path: Path) -> None:
    done = fetch(tmp_path, "http://127.0.0.1:1", "tiny/flux")
    assert done.returncode == 1
    assert "cannot be fetched" in done.stderr
    assert "the same command continues" in done.stderr


def test_a_painter_and_a_folder_need_nothing(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "workflows.fetch", "configs/demo.toml"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "its painter needs no model" in done.stdout
    (tmp_path / "model").mkdir()
    done = fetch(tmp_path, "http://127.0.0.1:1", str(tmp_path / "model"))
    assert done.returncode == 0
    assert "is a folder, nothing to fetch" in done.stdout


def test_a_preset_of_face_pairs_names_what_paints(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    preset = tmp_path / "pairs.toml"
    preset.write_text(f'[facepairs.inpaint]\nmodel = "{tmp_path / "model"}"\n')
    program = [sys.executable, "-m", "workflows.fetch", str(preset)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "model: is a folder, nothing to fetch" in done.stdout


def test_single_files_that_cannot_be_fetched_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No address outside is asked in a test: the downloads are those of a server nobody runs."""

    def nobody(address: str, **_: object) -> None:
        raise ConnectionRefusedError(f"asked {address}")

    monkeypatch.setattr("urllib.request.urlopen", nobody)
    assert main(["fetch"]) == 2
    told = "name a preset, --faces, --lpips, --scorer, --metrics or --captions"
    assert told in capsys.readouterr().err
    assert main(["fetch", "--faces", "--weights", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert f"{tmp_path}/.deepface/weights/age_model_weights.onnx: cannot be fetched" in told
    assert main(["fetch", "--lpips", "alex", "--lpips-weights", str(tmp_path)]) == 2
    assert "alexnet-owt-7be5be79.pth: cannot be fetched" in capsys.readouterr().err
    assert main(["fetch", "--scorer", "FaceScore", "--scorer-weights", str(tmp_path)]) == 2
    assert f"{tmp_path}/FaceScore/FS_model.pt: cannot be fetched" in capsys.readouterr().err
    write("imagereward", tmp_path / "ImageReward")
    assert main(["fetch", "--scorer", "ImageReward", "--scorer-weights", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("is here already") == 3
    write("hps", tmp_path / "HPS")
    (tmp_path / "HPS" / "merges.txt").unlink()
    assert main(["fetch", "--scorer", "HPS", "--scorer-weights", str(tmp_path)]) == 2
    told = capsys.readouterr()
    assert told.out.count("is here already") == 2
    address = "https://huggingface.co/openai/clip-vit-large-patch14/resolve/main/merges.txt"
    assert f"{tmp_path}/HPS/merges.txt: cannot be fetched: {address}: asked" in told.err
    # What is here is not asked for.
    write("lpips", tmp_path / "here")
    assert main(["fetch", "--lpips", "alex", "--lpips-weights", str(tmp_path / "here")]) == 0
    assert "is here already" in capsys.readouterr().out


def test_files_of_a_model_are_fetched_with_its_weights_or_not_at_all(
    hub: tuple[str, list[str]], tmp_path: Path
) -> None:
    endpoint, served = hub
    done = fetch_names(tmp_path / "none", endpoint, ["model_index.json"])
    assert done.returncode != 0
    assert "'tiny/flux': has no weights that transformers reads" in done.stderr
    weights = Hub.folder / "pytorch_model.bin"
    weights.write_bytes(bytes(100))
    try:
        done = fetch_names(tmp_path / "some", endpoint, ["model_index.json"])
    finally:
        weights.unlink()
    assert done.returncode == 0, done.stderr
    folder, num_bytes = done.stdout.split()
    assert sorted(path.name for path in Path(folder).iterdir()) == [
        "model_index.json",
        "pytorch_model.bin",
    ]
    assert int(num_bytes) == 100 + (Hub.folder / "model_index.json").stat().st_size
    assert "pytorch_model.bin" in served


def fetch_names(home: Path, endpoint: str, names: list[str]) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys\n"
        "from models.generators.diffusers_pair.fetching import fetch_files\n"
        "got = fetch_files('tiny/flux', 'main', sys.argv[1:])\n"
        "print(got.folder, got.bytes)"
    )
    online = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    return subprocess.run(
        [sys.executable, "-c", program, *names],
        env=online | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_metrics_are_fetched_and_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is here but is not the published one is refused before anything else."""
    name = "weights-inception-2015-12-05-6726825d.pth"
    (tmp_path / name).write_bytes(b"something else")
    assert main(["fetch", "--metrics", "--metrics-weights", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert f"{tmp_path / name}: has 14 bytes and sha256" in told
    assert "remove it and fetch it again" in told


def test_models_that_measure_are_fetched_from_the_hub(
    hub: tuple[str, list[str]], tmp_path: Path
) -> None:
    endpoint, _ = hub
    program = (
        "import models.features.vision_hub as hub, models.published_files as single\n"
        "import workflows.cli\n"
        "single.MEASURES = {}\n"
        "hub.HUB_MODELS = {'x': hub.HubModel(model='tiny/flux', files=('model_index.json',))}\n"
        "raise SystemExit(workflows.cli.main(['fetch', '--metrics']))"
    )
    online = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    weights = Hub.folder / "model.safetensors"
    weights.write_bytes(bytes(50))
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=online | {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home")},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        weights.unlink()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tiny/flux: ")
    assert f"snapshots/{COMMIT}" in done.stdout
