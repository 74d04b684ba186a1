"""The engine on a real Ray: every lease once, blame where it belongs, dead workers replaced."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from cluster.actor import Sign
from cluster.connect import connected
from cluster.engine import Engine, Seats, WorkersKeepDying
from cluster.seats import Seat
from cluster.survey import asked_on_each_node
from schemas.endings import CannotGoOn
from schemas.lease import (
    Lease,
    LeaseFailed,
    OutOfTime,
    Turn,
    Waited,
    WorkerLost,
    WorkerReady,
)

# Workers of a test module cannot be imported by name in another process.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

POISON = "shard-7"


def leases(count: int) -> Iterator[Lease]:
    return (Lease(shard=f"shard-{n}", attempt=1, samples=()) for n in range(count))


def die(how: signal.Signals) -> None:
    os.kill(os.getpid(), how)
    time.sleep(600)  # the signal goes to another thread, and this one must get no further


class Mischief:
    """A worker that does something at one shard, as often as a folder lets it."""

    def __init__(self, what: str) -> None:
        self.kind, _, folder = what.partition(":")
        self.folder = Path(folder)

    def setup(self) -> dict[str, str]:
        if self.kind == "crash while loading":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.kind == "refuse to load":
            raise RuntimeError("no such weights")
        return {"processor": "an abacus"}

    def run(self, lease: Lease, turn: Turn) -> str:
        with turn:
            if lease.shard == POISON or self.kind == "always die":
                self._misbehave(lease)
            (self.folder / f"{lease.shard}.{lease.attempt}.{os.getpid()}").touch()
            if list(self.folder.glob("finishing-*")):
                (self.folder / "overlapped").touch()
        if self.kind == "slow to finish":
            finishing = self.folder / f"finishing-{lease.shard}"
            finishing.touch()
            time.sleep(0.2)
            finishing.unlink()
        return lease.shard

    def _misbehave(self, lease: Lease) -> None:
        # The result before is on its way; who dies at once would take it along.
        time.sleep(0.2)
        match self.kind:
            case "raise":
                raise RuntimeError(f"bad {lease.shard}")
            case "wait and raise once" if lease.attempt == 1:
                while not (self.folder / "go on").exists():
                    time.sleep(0.01)
                raise RuntimeError("once")
            case "raise once" if lease.attempt == 1:
                raise RuntimeError("once")
            case "die" | "always die":
                die(signal.SIGKILL)
            case "die once" if lease.attempt == 1:
                die(signal.SIGSEGV)
            case "hang" if lease.attempt == 1:
                time.sleep(600)
            case "cannot go on":
                raise CannotGoOn("set a smaller batch")
            case "fill the disk":
                raise OSError(28, "No space left on device", "/data/x")


class Slow:
    def __init__(self, folder: str) -> None:
        self.folder = folder

    def setup(self) -> dict[str, str]:
        return {"processor": "an abacus"}

    def run(self, lease: Lease, turn: Turn) -> str:
        with turn:
            time.sleep(0.3)
        return lease.shard


@pytest.fixture(scope="module")
def here() -> Iterator[str]:
    with connected("local") as where:
        yield where


def run(
    kind: str, folder: Path, count: int = 20, **seats: object
) -> tuple[list[str], list[LeaseFailed], list[WorkerLost]]:
    engine = Engine(Mischief, f"{kind}:{folder}", Seats(**({"num_cpus": 0.5} | seats)))  # type: ignore[arg-type]
    outcomes = list(engine.run(leases(count), count))
    return (
        [one for one in outcomes if isinstance(one, str)],
        [one for one in outcomes if isinstance(one, LeaseFailed)],
        [one for one in outcomes if isinstance(one, WorkerLost)],
    )


def all_but(*missing: str, count: int = 20) -> list[str]:
    return sorted({f"shard-{n}" for n in range(count)} - set(missing))


def test_every_lease_is_done_once(here: str, tmp_path: Path) -> None:
    done, failed, lost = run("nothing", tmp_path, 60)
    assert sorted(done) == all_but(count=60)
    assert (failed, lost) == ([], [])
    assert len(list(tmp_path.iterdir())) == 60


@pytest.mark.parametrize("kind", ["raise once", "die once", "hang"])
def test_what_goes_wrong_once_is_mended(here: str, tmp_path: Path, kind: str) -> None:
    done, failed, lost = run(kind, tmp_path, lease_timeout_s=3)
    assert sorted(done) == all_but()
    assert [(one.shard, one.attempt, one.given_up) for one in failed] == [(POISON, 1, False)]
    assert len(lost) == (kind != "raise once")
    assert all(not one.node_lost for one in lost)
    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} == set(all_but())


@pytest.mark.parametrize(
    ("kind", "error"), [("raise", "RuntimeError: bad shard-7"), ("die", "The actor died")]
)
def test_poison_is_given_up_and_nothing_else(
    here: str, tmp_path: Path, kind: str, error: str
) -> None:
    done, failed, lost = run(kind, tmp_path)
    assert sorted(done) == all_but(POISON)
    assert [(one.shard, one.attempt) for one in failed] == [(POISON, n) for n in (1, 2, 3)]
    assert [one.given_up for one in failed] == [False, False, True]
    assert failed[-1].error.startswith(error)
    assert len(lost) == (3 if kind == "die" else 0)


class Companion(Mischief):
    """Poison that strikes at once, while the lease before it is still being finished."""

    def run(self, lease: Lease, turn: Turn) -> str:
        with turn:
            if lease.shard == POISON:
                die(signal.SIGKILL)
        time.sleep(0.3)
        return lease.shard


def test_poison_is_found_out_though_another_lease_was_being_finished(
    here: str, tmp_path: Path
) -> None:
    engine = Engine(Companion, f"nothing:{tmp_path}", Seats(num_cpus=0.5))
    outcomes = list(engine.run(leases(20), 20))
    assert sorted(one for one in outcomes if isinstance(one, str)) == all_but(POISON)
    given_up = [one.shard for one in outcomes if isinstance(one, LeaseFailed) and one.given_up]
    assert given_up == [POISON]


def test_the_next_lease_has_its_turn_while_one_is_finished(here: str, tmp_path: Path) -> None:
    engine = Engine(Mischief, f"slow to finish:{tmp_path}", Seats(num_cpus=1, most=1))
    outcomes = list(engine.run(leases(10), 10))
    assert sorted(one for one in outcomes if isinstance(one, str)) == all_but(count=10)
    assert (tmp_path / "overlapped").exists()


def test_a_lone_poisonous_lease_does_not_end_the_run(here: str, tmp_path: Path) -> None:
    """Three deaths in a row, but all of one suspect: it is given up, and that is all."""
    engine = Engine(Mischief, f"die:{tmp_path}", Seats(num_cpus=0.5))
    outcomes = list(engine.run([Lease(shard=POISON, attempt=1, samples=())], 1))
    failed = [one for one in outcomes if isinstance(one, LeaseFailed)]
    assert [one.given_up for one in failed] == [False, False, True]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("crash while loading", "The actor died"),
        ("refuse to load", "no such weights"),
        ("always die", "The actor died"),
    ],
)
def test_workers_that_keep_dying_end_the_run(
    here: str, tmp_path: Path, kind: str, told: str
) -> None:
    with pytest.raises(WorkersKeepDying, match="3 workers ended one after the other") as caught:
        run(kind, tmp_path)
    assert told in str(caught.value)


def test_an_error_of_one_nodes_disk_is_a_strike_like_any_other(here: str, tmp_path: Path) -> None:
    done, failed, _ = run("fill the disk", tmp_path)
    assert sorted(done) == all_but(POISON)
    assert failed[-1].error == "OSError: [Errno 28] No space left on device: '/data/x'"


def test_a_worker_that_dies_while_it_is_idle_costs_no_lease_a_strike(
    here: str, tmp_path: Path
) -> None:
    """One worker is done and killed; then a lease of the other fails, and needs a worker."""
    engine = Engine(Mischief, f"wait and raise once:{tmp_path}", Seats(num_cpus=0.5))
    both = [Lease(shard=shard, attempt=1, samples=()) for shard in ("shard-1", POISON)]
    outcomes: list[object] = []
    for outcome in engine.run(both, 2):
        outcomes.append(outcome)
        if outcome == "shard-1" and not (tmp_path / "go on").exists():
            (idle,) = [seat for seat in engine._seats if not seat.leases]
            ray.kill(idle.actor)
            (tmp_path / "go on").touch()
    assert sorted(one for one in outcomes if isinstance(one, str)) == ["shard-1", POISON]
    failed = [one for one in outcomes if isinstance(one, LeaseFailed)]
    assert [(one.shard, one.error) for one in failed] == [(POISON, "RuntimeError: once")]


def test_workers_killed_from_outside_lose_nothing(here: str, tmp_path: Path) -> None:
    """Four workers are killed from outside, wherever they are; the rest goes on."""
    engine = Engine(Mischief, f"nothing:{tmp_path}", Seats(num_cpus=0.5))
    done: list[str] = []
    killed: set[str] = set()
    told, done_since = 0, 0
    for outcome in engine.run(leases(160), 160):
        if isinstance(outcome, str):
            done.append(outcome)
            done_since += 1
        if isinstance(outcome, WorkerLost):
            told, done_since = told + 1, 0
        # The next one when the engine knows of the last, and work was done since: three that die
        # with nothing done in between end the run, rightly.
        if len(killed) == 4 or told < len(killed) or done_since < 5:
            continue
        attempts = {}
        for path in sorted(tmp_path.iterdir(), key=lambda one: one.stat().st_mtime_ns):
            _, attempt, pid = path.name.split(".")
            attempts[pid] = attempt
        # Nobody who is at a lease that has cost a worker: three times, and it is given up.
        may = [pid for pid, attempt in attempts.items() if attempt == "1" and pid not in killed]
        for pid in may[:1]:
            killed.add(pid)
            os.kill(int(pid), signal.SIGKILL)
    assert sorted(done) == all_but(count=160)
    assert len(killed) == 4


def test_no_lease_is_started_that_would_not_end_by_the_deadline(here: str, tmp_path: Path) -> None:
    """Leases of 0.3 s until 2 s after the first: what was started ends, and the rest is told."""
    engine = Engine(Slow, str(tmp_path), Seats(num_cpus=1), deadline=time.time() + 3600)
    outcomes: list[object] = []
    for outcome in engine.run(leases(500), 500):
        outcomes.append(outcome)
        if [one for one in outcomes if isinstance(one, str)] == [outcome]:
            # However long workers have taken to start, and the first lease.
            engine._deadline = time.time() + 2
    done = [one for one in outcomes if isinstance(one, str)]
    assert isinstance(outcomes[-1], OutOfTime)
    assert outcomes[-1].leases_left == 500 - len(done)
    assert outcomes[-1].longest_s >= 0.3
    workers = int(ray.cluster_resources()["CPU"])
    assert 1 <= len(done) <= workers * (2 + 2 / 0.3)
    assert not [one for one in outcomes if isinstance(one, LeaseFailed | WorkerLost)]


def test_a_deadline_that_is_over_starts_nothing(here: str, tmp_path: Path) -> None:
    engine = Engine(Slow, str(tmp_path), Seats(num_cpus=1), deadline=time.time() - 1)
    assert list(engine.run(leases(5), 5)) == [OutOfTime(leases_left=5, longest_s=0)]


def test_no_worker_ever_lacks_a_queued_lease(here: str, tmp_path: Path) -> None:
    """The next lease lies at the worker before it is done with this one."""
    engine = Engine(Slow, str(tmp_path), Seats(num_cpus=0.5))
    outcomes = list(engine.run(leases(40), 40))
    assert len([one for one in outcomes if isinstance(one, WorkerReady)]) == 4
    assert engine.usage.leases == 40
    assert engine.usage.starved == 0
    assert engine.usage.busy_share > 0.5


def test_what_is_wrong_for_all_leases_ends_the_run(here: str, tmp_path: Path) -> None:
    with pytest.raises(CannotGoOn, match="set a smaller batch"):
        run("cannot go on", tmp_path)


def test_a_node_that_does_not_see_the_drivers_files_ends_the_run(here: str, tmp_path: Path) -> None:
    sign = Sign(str(tmp_path / "sign"), within_s=0.5)
    with pytest.raises(CannotGoOn, match=r"does not see .* all nodes share"):
        run("nothing", tmp_path, sign=sign)
    (tmp_path / "sign").touch()
    assert len(run("nothing", tmp_path, sign=sign)[0]) == 20


def test_workers_that_wait_for_room_are_no_deaths(here: str, tmp_path: Path) -> None:
    """Somebody else has all places but one, for longer than a setup may take."""
    others = ray.remote(num_cpus=os.cpu_count() - 1)(Slow).remote(str(tmp_path))  # type: ignore[operator]
    ray.get(others.setup.remote())
    engine = Engine(Slow, str(tmp_path), Seats(num_cpus=1, setup_timeout_s=1.5))
    outcomes = list(engine.run(leases(12), 12))
    ray.kill(others)
    assert sorted(one for one in outcomes if isinstance(one, str)) == all_but(count=12)
    assert not [one for one in outcomes if isinstance(one, LeaseFailed | WorkerLost)]


class Unseen(Seat):
    """A seat without an actor: the driver's own bookkeeping."""

    def queue(self, lease: Lease) -> None:
        self.leases.append((None, lease))

    def end(self) -> None:
        pass


def test_a_suspect_of_a_lost_node_is_alone_with_its_next_worker_too() -> None:
    first, second, third = (Unseen(actor=None, placed=None, setup=True, node="n") for _ in range(3))
    engine = Engine(Slow, "", Seats())
    engine._fresh, engine._left = leases(3), 3
    suspect = Lease(shard="suspect", attempt=2, samples=())
    engine._seats, engine._alone = [first], {"suspect"}
    first.leases.append((None, suspect))
    assert list(engine._died(first, "node has died", node_lost=True))
    engine._seats = [second, third]
    engine._feed(second)
    engine._feed(third)
    assert [lease for _, lease in second.leases] == [suspect]
    assert [lease.shard for _, lease in third.leases] == ["shard-0", "shard-1"]


def test_a_cluster_without_what_a_worker_needs_says_what_lacks(here: str, tmp_path: Path) -> None:
    run_ = Engine(Slow, str(tmp_path), Seats(num_gpus=1)).run(leases(2), 2)
    waited = next(run_)
    run_.close()
    assert isinstance(waited, Waited)
    assert waited.workers == waited.pending == 0
    assert waited.lacking is not None
    assert waited.lacking.startswith("a worker needs 1 GPUs and 1 processors, there are 0 GPUs")


def test_every_node_with_a_resource_is_asked(here: str) -> None:
    def process() -> int:
        return os.getpid()

    assert asked_on_each_node(process, "GPU") == []
    assert os.getpid() not in asked_on_each_node(process, "CPU")

    def nobody_knows() -> int:
        raise CannotGoOn("no tool")

    with pytest.raises(CannotGoOn, match="no tool"):
        asked_on_each_node(nobody_knows, "CPU")


def test_a_driver_far_away_is_refused() -> None:
    with pytest.raises(ValueError, match="would not run this tree"):  # noqa: SIM117
        with connected("ray://somewhere:10001"):
            pass


def test_an_address_where_nobody_is(here: str) -> None:
    ray.shutdown()
    with pytest.raises(ValueError, match=r"Ray at '127\.0\.0\.1:1': cannot be reached"):  # noqa: SIM117
        with connected("127.0.0.1:1"):
            pass


def test_the_loss_of_a_node_is_nobodys_fault(tmp_path: Path) -> None:
    """A real cluster of two nodes, of which one is killed while all its workers are busy."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        doomed = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        outcomes: list[object] = []
        with connected(cluster.address):
            engine = Engine(Slow, str(tmp_path), Seats(num_cpus=1))
            for outcome in engine.run(leases(24), 24):
                outcomes.append(outcome)
                if sum(isinstance(one, str) for one in outcomes) == 6:
                    cluster.remove_node(doomed, allow_graceful=False)
        assert sorted(one for one in outcomes if isinstance(one, str)) == all_but(count=24)
        assert [one.node_lost for one in outcomes if isinstance(one, WorkerLost)] == [True]
        assert not [one for one in outcomes if isinstance(one, LeaseFailed)]
    finally:
        cluster.shutdown()
