"""What is damaged, edited or of another making: refused, or set aside and made anew when asked."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shards.events import read as read_events
from shards.owner import Owner, OwnerLost
from shards.plan import shard_names
from shards.run import read_planned
from shards.verify import verify
from workflows import generate
from workflows.cli import main
from workflows.console import Console
from workflows.filling import Filling

SHARD = "train/shard-000001"


def kinds(dataset: Path) -> list[str]:
    return [event["kind"] for event in read_events(dataset)]


def test_what_was_set_aside_is_made_anew(
    generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tar = generated / f"{SHARD}.tar"
    before = tar.read_bytes()
    tar.unlink()
    assert generate.main(["--here", str(generated)]) == 0
    assert f"{SHARD}: shard-000001.done.json without shard-000001.tar" in capsys.readouterr().err
    assert tar.read_bytes() == before
    assert list(verify(generated)) == []


def test_other_numerics_are_refused_and_another_stack_is_told(
    generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = generated / "generator.json"
    record = json.loads(path.read_bytes())
    path.write_text(json.dumps(record | {"processor": "Abacus", "code": "0000"}))
    assert generate.main(["--here", str(generated)]) == 0
    said = capsys.readouterr().err.replace("\n", " ")
    assert "code: '0000', now" in said
    assert "processor: 'Abacus', now" in said
    assert "stack-differs" in kinds(generated)
    record["numerics"]["batch_size"] = 5
    path.write_text(json.dumps(record))
    assert main(["generate", "--here", str(generated)]) == 2
    assert "numerics.batch_size: 5, now 4" in capsys.readouterr().err


def test_a_plan_that_is_not_the_runs(
    generated: Path, planned: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(planned() / "plan.parquet", generated / "plan.parquet")
    assert main(["generate", "--here", str(generated)]) == 2
    assert "is not the plan of run.json" in capsys.readouterr().err


def test_an_edited_run_json_makes_nothing(
    generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = generated / "run.json"
    path.write_text(path.read_text().replace('"gap": 1.0', '"gap": 2.0'))
    (generated / f"{SHARD}.tar").unlink()
    assert main(["generate", "--here", str(generated)]) == 2
    assert "run.json: its settings are not those that plan.parquet" in capsys.readouterr().err


def test_a_run_json_edited_before_anything_was_made(
    planned: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = planned() / "run.json"
    path.write_text(path.read_text().replace('"seed": 7', '"seed": 8'))
    assert main(["generate", "--here", str(path.parent)]) == 2
    assert "its settings are not those" in capsys.readouterr().err
    planned()  # the same relume plan as before
    assert main(["generate", "--here", str(path.parent)]) == 0


def test_a_lost_generator_json_of_another_making(
    generated: Path, planned: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    other = planned("medium", "--generator.gap", "0.5", folder="other")
    assert generate.main(["--here", str(other)]) == 0
    for suffix in ("tar", "parquet", "done.json"):
        shutil.copy(other / f"{SHARD}.{suffix}", generated / f"{SHARD}.{suffix}")
    assert main(["generate", "--here", str(generated)]) == 2
    assert "was made with other settings, models or numerics" in capsys.readouterr().err
    (generated / "generator.json").unlink()
    assert main(["generate", "--here", str(generated)]) == 2
    assert "generator.json, which would name them, is gone" in capsys.readouterr().err
    # Where one shard is of this making, the others can be told from it.
    assert main(["generate", "--here", str(generated), "--mend", "--part", "2/2"]) == 0
    assert list(verify(generated)) == []


def test_damage_of_every_kind_is_mended_when_asked(
    generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = {path: path.read_bytes() for path in generated.glob("*/*") if path.is_file()}
    whole |= {path: path.read_bytes() for path in generated.glob("*.parquet")}
    tar = generated / f"{SHARD}.tar"
    data = bytearray(tar.read_bytes())
    data[5000] ^= 1
    tar.write_bytes(data)
    (generated / "test/stray.tar").write_bytes(b"stray")
    (generated / "truth.parquet").write_bytes(b"junk")
    (generated / "generator.json").write_text("{}")
    (generated / "validation/shard-000000.done.json").write_text("{}")
    assert main(["inspect", str(generated), "--verify"]) == 1
    assert f"of them: relume generate {generated} --mend\n" in capsys.readouterr().err
    # Without being asked it touches nothing that it would have to read whole to judge.
    assert main(["generate", "--here", str(generated)]) == 2
    capsys.readouterr()
    assert main(["generate", "--here", str(generated), "--mend"]) == 0
    said = capsys.readouterr().err
    for what in ("test/stray.tar: is in no plan", "truth.parquet: ", "generator.json: ", SHARD):
        assert what in said
    assert list(verify(generated)) == []
    for path, data in whole.items():
        if "owners" not in path.parts:
            assert path.read_bytes() == data, path
    assert (generated / "quarantine").is_dir()


def test_a_part_mends_only_its_own(generated: Path) -> None:
    for shard in ("train/shard-000000", SHARD):
        path = generated / f"{shard}.tar"
        path.write_bytes(path.read_bytes()[::-1])
    assert main(["generate", "--here", str(generated), "--mend", "--part", "1/2"]) == 0
    left = {problem.where for problem in verify(generated) if problem.kind == "damaged"}
    assert left == {SHARD}


def test_a_driver_that_slept_sets_nothing_of_its_successor_aside(generated: Path) -> None:
    """Between verifying and moving it lost the dataset to another one."""
    _, plan = read_planned(generated)
    shard = generated / f"{SHARD}.tar"
    data = shard.read_bytes()
    with Owner(generated, silent_s=0.0) as sleeper:
        filling = Filling(generated, shard_names(plan), sleeper, Console())
        shard.write_bytes(data[::-1])
        with Owner(generated, silent_s=-1.0):
            shard.write_bytes(data)
        with pytest.raises(OwnerLost):
            filling.set_aside(SHARD, "was damaged when it was looked at")
    assert shard.read_bytes() == data


@pytest.mark.parametrize("suffix", ["tar", "parquet"])
def test_what_cannot_be_read_is_not_called_damaged(
    generated: Path,
    suffix: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever runs the tests may be root, who can read anything: the refusal is played."""
    locked = generated / f"{SHARD}.{suffix}"
    opened = Path.open

    def refusing(self: Path, *arguments: Any, **options: Any) -> Any:
        if self == locked:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refusing)
    (problem,) = [problem for problem in verify(generated) if problem.where == SHARD]
    assert (problem.kind, problem.what) == ("unreadable", f"{locked}: Permission denied")
    assert main(["generate", "--here", str(generated), "--mend"]) == 1
    said = capsys.readouterr().err
    assert "Permission denied" in said
    assert "is no parquet file" not in said
    assert not (generated / "quarantine").exists()
    monkeypatch.setattr(Path, "open", opened)
    assert main(["generate", "--here", str(generated)]) == 0
    assert list(verify(generated)) == []


def test_an_emptied_plan_says_what_mends_it(
    planned: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = planned() / "plan.parquet"
    path.write_bytes(b"")
    assert main(["inspect", str(path.parent)]) == 2
    assert "the same relume plan as before sets it aside" in capsys.readouterr().err
    planned()
    assert main(["generate", "--here", str(path.parent)]) == 0
