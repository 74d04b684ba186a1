"""Sources first, targets of them later: the dataset is the one that is made in one go."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from models.generators.procedural.generator import ProceduralGenerator
from models.tiny.write import write
from shards.events import read as read_events
from shards.verify import verify
from workflows.cli import main
from workflows.phases import too_large

GIB = 1 << 30
TINY_FLUX = """
[generator]
kind = "diffusers"
dtype = "float32"
device = "cpu"

[split]
train = 3
validation = 1
test = 1

[stage.source]
model = "{folder}/flux-schnell"
steps = 2

[stage.target]
model = "{folder}/flux-dev"
steps = 3
guidance = 3.0
strength = 0.7

[dataset.d]
prompt = "A portrait"
count = 12
stages = ["source", "target"]
size_px = 64
shard_size = 4
batch_size = 4
"""


@pytest.fixture
def flux(tmp_path: Path) -> Callable[..., Path]:
    """Plans a dataset of pairs of tiny FLUX checkpoints."""
    for kind in ("flux-schnell", "flux-dev"):
        write(kind, tmp_path / "models" / kind)
    (tmp_path / "flux.toml").write_text(TINY_FLUX.format(folder=tmp_path / "models"))

    def make(folder: str, *overrides: str) -> Path:
        dataset = tmp_path / folder
        argv = ["plan", str(tmp_path / "flux.toml"), "--dataset", "d", "--out", str(dataset)]
        assert main([*argv, *overrides]) == 0
        return dataset

    return make


def test_flux_in_two_phases_is_flux_in_one(
    files: Callable[..., dict[str, bytes]], flux: Callable[..., Path]
) -> None:
    fused, phased = flux("fused"), flux("phased")
    assert main(["generate", "--here", str(fused)]) == 0
    assert main(["generate", "--here", str(phased), "--placement", "two-phase"]) == 0
    assert list(verify(phased)) == []
    assert files(phased) == files(fused)
    sources = phased.with_name("phased-sources")
    assert list(verify(sources)) == []
    # What is complete needs its sources no more.
    shutil.rmtree(sources)
    assert main(["generate", "--here", str(phased), "--placement", "two-phase"]) == 0
    assert not sources.exists()


def test_two_phases_by_parts_and_after_damage(
    files: Callable[..., dict[str, bytes]],
    planned: Callable[..., Path],
    generated: Path,
    tmp_path: Path,
) -> None:
    dataset, sources = planned("medium"), tmp_path / "sources"
    argv = ["generate", "--here", str(dataset), "--placement", "two-phase"]
    argv += ["--sources", str(sources)]
    assert main([*argv, "--part", "1/2"]) == 0
    tar = sources / "train/shard-000000.tar"
    tar.write_bytes(tar.read_bytes()[:-1])
    assert main(argv) == 0
    assert list(verify(dataset)) == []
    assert files(dataset) == files(generated)
    # The targets of the damaged sources exist, so nobody needs these any more.
    assert [problem.where for problem in verify(sources)] == ["train/shard-000000"]


def test_a_damaged_pair_of_a_complete_dataset_is_made_in_two_phases_too(
    files: Callable[..., dict[str, bytes]],
    planned: Callable[..., Path],
    generated: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    dataset = planned("medium")
    argv = ["generate", "--here", str(dataset), "--placement", "two-phase"]
    assert main(argv) == 0
    tar = dataset / "train/shard-000001.tar"
    damaged = bytearray(tar.read_bytes())
    damaged[-2000] ^= 1
    tar.unlink()
    tar.write_bytes(damaged)
    sources = dataset.with_name(f"{dataset.name}-sources")
    shutil.rmtree(sources)
    capfd.readouterr()
    assert main([*argv, "--mend"]) == 0
    told = capfd.readouterr().out
    # Only what the damaged shard needs is made, its sources first.
    assert f"{sources}: 1 of" in told
    assert [path.name for path in sources.glob("*/*.tar")] == ["shard-000001.tar"]
    assert files(dataset) == files(generated)


def test_a_pilot_in_two_phases_counts_both(
    planned: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pilot = tmp_path / "pilot"
    argv = ["generate", "--here", str(planned("medium")), "--placement", "two-phase"]
    argv += ["--limit", "4", "--out", str(pilot)]
    assert main(argv) == 0
    assert "worker-hours" in capfd.readouterr().out
    (pilot / "train/shard-000000.tar").unlink()
    assert main(argv) == 0
    assert "nothing in one of two phases" in capfd.readouterr().err


def test_a_failed_source_fails_its_sample_as_it_would_in_one_go(
    files: Callable[..., dict[str, bytes]],
    planned: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make = ProceduralGenerator.make

    def first_is_black(self, samples, given=None):
        made = {stage: pixels.copy() for stage, pixels in make(self, samples, given).items()}
        made["source"][0] = 0
        return made

    monkeypatch.setattr(ProceduralGenerator, "make", first_is_black)
    fused, phased = planned(folder="fused"), planned(folder="phased")
    assert main(["generate", "--here", str(fused)]) == 1
    assert main(["generate", "--here", str(phased), "--placement", "two-phase"]) == 1
    assert files(phased) == files(fused)


def test_what_has_no_pairs_has_no_phases(
    planned: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = planned("small", "--dataset.stages", "source")
    assert main(["generate", "--here", str(dataset), "--placement", "two-phase"]) == 2
    assert "this dataset has source; it takes a source and a target" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("gpu_gib", "phased"), [(24, True), (40, True), (48, True), (80, False), (141, False)]
)
def test_flux_fits_beside_itself_from_eighty_gigabytes_on(gpu_gib: int, phased: bool) -> None:
    """Schnell and dev with one T5, CLIP and VAE between them."""
    weights = int((22.2 + 22.2 + 8.9 + 0.2 + 0.2) * GIB)
    assert too_large(weights, gpu_gib * GIB) is phased


def test_flux_in_two_phases_killed_in_each_of_them(
    files: Callable[..., dict[str, bytes]], flux: Callable[..., Path]
) -> None:
    """Kill -9 while sources are made, and while targets are; then the same command."""
    fused, phased = flux("fused"), flux("phased")
    assert main(["generate", "--here", str(fused)]) == 0
    sources = phased.with_name("phased-sources")
    for folder in (sources, phased):
        driver = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "workflows.generate",
                str(phased),
                "--here",
                "--placement",
                "two-phase",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while driver.poll() is None and not list(folder.glob("*/*.done.json")):
            time.sleep(0.005)  # until the phase has begun to publish
        driver.kill()
        driver.wait()
    assert main(["generate", "--here", str(phased), "--placement", "two-phase"]) == 0
    assert list(verify(phased)) == []
    assert files(phased) == files(fused)


@pytest.mark.parametrize("options", [[], ["--here"], ["--placement", "fused"]])
def test_gpus_that_are_not_there_are_told_at_once(
    flux: Callable[..., Path], capfd: pytest.CaptureFixture[str], options: list[str]
) -> None:
    dataset = flux("gpus", "--generator.device", "cuda")
    assert main(["generate", str(dataset), *options]) == 2
    assert "this machine has no GPU; name --address" in capfd.readouterr().err


def test_weights_are_loaded_from_a_copy_on_the_node(
    flux: Callable[..., Path], files: Callable[..., dict[str, bytes]], tmp_path: Path
) -> None:
    plain, copied, place = flux("plain"), flux("copied"), tmp_path / "node"
    assert main(["generate", "--here", str(plain)]) == 0
    assert main(["generate", "--here", str(copied), "--weights-to", str(place)]) == 0
    assert files(copied) == files(plain)
    assert list(place.glob("models/*/transformer/*.safetensors"))


def test_sources_are_not_the_dataset(
    planned: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    dataset = planned()
    assert main(["generate", "--here", str(dataset), "--sources", str(dataset)]) == 2
    assert "is the dataset; choose another folder" in capfd.readouterr().err


def test_seconds_of_a_worker_are_counted_once(planned: Callable[..., Path]) -> None:
    """Two leases lie at a worker, and one waits while the other has its turn."""
    dataset = planned("medium", "--dataset.size-px", "256")
    begun = time.monotonic()
    assert main(["generate", str(dataset), "--workers", "1"]) == 0
    spent_s = time.monotonic() - begun
    seconds = [e["seconds"] for e in read_events(dataset) if e["kind"] == "shard-published"]
    assert len(seconds) == 10
    assert 0 < sum(seconds) < spent_s
