"""A real Slurm of several nodes on this machine: controller, munge, slurmd and fake GPUs.

The login host is a set of namespaces (processes, network, mounts, host name), each node another set
inside it, plugged into its bridge. Nothing of it is seen from outside, two labs never meet, and all
of it ends with one process. Needs root and Debian's slurm-wlm, munge and iproute2; no container.

    python tests/slurm/lab.py        a shell on the login host; the lab ends with the shell
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "lab"
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged", "ip", "unshare", "nsenter", "setpriv")
_NAMESPACES = ("--pid", "--net", "--mount", "--uts")
# Matters only where something hangs: a busy machine may take its time.
_PATIENCE_S = 600.0


def why_not() -> str | None:
    """Why no lab can be started here, or None."""
    if os.geteuid() != 0:
        return "a Slurm of one's own needs root for its namespaces"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}; apt-get install slurm-wlm munge iproute2"
    return None


def until(reached: Callable[[], object], what: str) -> None:
    """Wait for something that is bound to happen; an error when it does not."""
    limit = time.monotonic() + _PATIENCE_S
    while not reached():
        if time.monotonic() > limit:
            raise TimeoutError(f"after {_PATIENCE_S:.0f} s still not: {what}")
        time.sleep(0.1)


class Lab:
    """A Slurm: run commands on its login host and nodes, switch nodes off and on."""

    def __init__(self, nodes: int = 4, gpus: int = 4, cpus: int = 16) -> None:
        self.nodes = [f"node{number}" for number in range(1, nodes + 1)]
        self.folder = Path(tempfile.mkdtemp(prefix="relume-lab-"))
        self._network = "10.77.0"
        self._gateway = f"{self._network}.254"
        self._init: dict[str, int] = {}
        self._started: list[subprocess.Popen[bytes]] = []
        self._configure(nodes, gpus, cpus)

    # --- commands

    def run(self, *command: str | Path, check: bool = True, **options: Any) -> str:
        """What a command says on the login host."""
        return self._run("login", command, check, options)

    def on(self, node: str, *command: str | Path, check: bool = True, **options: Any) -> str:
        """What a command says on a node."""
        return self._run(node, command, check, options)

    def start(self, *command: str | Path, **options: Any) -> subprocess.Popen[str]:
        """A command on the login host, left running."""
        words = self._inside("login", command)
        return subprocess.Popen(words, text=True, env=self.environment(options), **options)

    def environment(self, options: dict[str, Any] | None = None) -> Mapping[str, str]:
        """This environment on the lab's Slurm."""
        given = (options or {}).pop("env", os.environ)
        outside = {k: v for k, v in given.items() if not k.startswith(("SLURM_", "RAY_"))}
        # What the scripts of slurm/ take for a node's own disk; /tmp is everybody's here.
        own = {"SLURM_CONF": str(self.folder / "etc/slurm.conf"), "RELUME_LOCAL": "/tmp/local"}
        return outside | own

    # --- nodes and controller

    def up(self) -> None:
        """Start everything; returns when all nodes are idle."""
        # However this process ends, the lab ends with it.
        words = ["setpriv", "--pdeathsig", "KILL"]
        words += ["unshare", *_NAMESPACES, "--fork", "--mount-proc", "--kill-child=KILL"]
        self._begin("login", [*words, str(HERE / "login.sh"), str(self.folder), self._gateway])
        until((self.folder / "munge.socket").exists, "munge listens")
        for node in self.nodes:
            self.power_on(node, "-c")
        until(lambda: self._count("idle") == len(self.nodes), f"all nodes idle: see {self.folder}")

    def down(self) -> None:
        """End everything: the kernel ends what is inside a namespace with its first process."""
        if "login" in self._init:
            os.kill(self._init.pop("login"), 9)
        for process in self._started:
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def power_off(self, node: str) -> None:
        """End all processes of a node at once, as when its power fails, and have that noticed."""
        os.kill(self._init.pop(node), 9)
        # The controller would find out by itself after SlurmdTimeout.
        self.run("scontrol", "update", f"nodename={node}", "state=down", "reason=power")

    def power_on(self, node: str, *slurmd: str) -> None:
        """Start a node with nothing running on it."""
        address = f"{self._network}.{node.removeprefix('node')}"
        words = ["unshare", *_NAMESPACES, "--fork", "--mount-proc", "--kill-child=KILL"]
        script = [str(HERE / "node.sh"), node, address, self._gateway, *slurmd]
        self._begin(node, self._inside("login", [*words, *script]))
        self._plug(node)

    def bring_back(self, node: str) -> None:
        """Start a node after it was off, and tell the controller that it is well."""
        self.power_on(node, "-b")
        # A node that went without a word comes back as down, as on any cluster.
        until(lambda: self._resumed(node), f"{node} back")

    def preempt(self, *options: str) -> None:
        """Take all nodes, or those of the options, for a moment: partition high goes first."""
        words = ["-p", "high", *(options or ["-N", str(len(self.nodes))]), "--exclusive"]
        self.run("sbatch", *words, "-o", "/dev/null", "--wrap", "true")

    def restart_controller(self) -> None:
        """End slurmctld; it starts again from what it has saved."""
        pid = int((self.folder / "slurmctld.pid").read_text())
        self.run("kill", "-TERM", str(pid))
        until(lambda: self._controller() not in (None, pid), "a new slurmctld")

    def settle(self) -> bool:
        """End all jobs; whether all nodes are ready for others after that."""
        if len(self._init) <= len(self.nodes):
            return False  # one was left without power
        self.run("scancel", "--user=root", check=False)
        try:
            until(lambda: not self.run("squeue", "-h").strip(), "an empty queue")
            until(lambda: self._count("idle") == len(self.nodes), "all nodes idle")
        except TimeoutError:
            return False
        return True

    def show(self, job: str) -> dict[str, str]:
        """The fields of a job, as scontrol tells them."""
        words = self.run("scontrol", "show", "job", "--oneliner", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    # --- inside

    def _resumed(self, node: str) -> bool:
        state = self.run("sinfo", "-h", "-n", node, "-p", "low", "-o", "%T").strip()
        if state.startswith("down"):
            self.run("scontrol", "update", f"nodename={node}", "state=resume", check=False)
        return state in ("idle", "mixed", "allocated")

    def _controller(self) -> int | None:
        try:
            pid = int((self.folder / "slurmctld.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        up = self.run("scontrol", "ping", check=False)
        return pid if "UP" in up else None

    def _run(
        self, where: str, command: Sequence[str | Path], check: bool, options: dict[str, Any]
    ) -> str:
        done = subprocess.run(
            self._inside(where, command, options.pop("cwd", None)),
            env=self.environment(options),
            stdout=subprocess.PIPE,
            stderr=options.pop("stderr", subprocess.STDOUT),
            text=True,
            check=False,
            **options,
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}")
        return done.stdout

    def _inside(
        self, where: str, command: Sequence[str | Path], cwd: Path | None = None
    ) -> list[str]:
        return [
            *("nsenter", "--target", str(self._init[where]), *_NAMESPACES),
            *(f"--wd={cwd or Path.cwd()}", "--", *map(str, command)),
        ]

    def _begin(self, where: str, words: Sequence[str]) -> None:
        with (self.folder / f"log/{where}.log").open("ab") as log:
            begun = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                start_new_session=True,
            )
        self._started.append(begun)
        # nsenter and unshare each fork once; the script is the last of the line.
        until(lambda: _youngest(begun.pid) is not None, f"{where} begins: see {log.name}")
        found = _youngest(begun.pid)
        assert found is not None
        self._init[where] = found

    def _plug(self, node: str) -> None:
        number = int(node.removeprefix("node"))
        # The same address after a power cycle, or the others would send to the old one.
        hardware = f"02:00:00:00:00:{number:02x}"
        network = ["nsenter", "--target", str(self._init["login"]), "--net", "ip", "link"]
        subprocess.run([*network, "delete", f"to-{node}"], check=False, stderr=subprocess.DEVNULL)
        pair = ["peer", "name", "eth0", "address", hardware, "netns", str(self._init[node])]
        subprocess.run([*network, "add", f"to-{node}", "type", "veth", *pair], check=True)
        subprocess.run([*network, "set", f"to-{node}", "master", "lan", "up"], check=True)

    def _count(self, state: str) -> int:
        listed = self.run("sinfo", "-h", "-N", "-p", "low", "-t", state, "-o", "%N", check=False)
        return sum(line in self.nodes for line in listed.split())

    def _configure(self, nodes: int, gpus: int, cpus: int) -> None:
        for name in ("etc", "log", "state", "spool", "dev"):
            (self.folder / name).mkdir()
        self.folder.chmod(0o755)
        etc = self.folder / "etc"
        (etc / "munge.key").write_bytes(secrets.token_bytes(256))
        (etc / "munge.key").chmod(0o600)
        for number in range(gpus):
            # Slurm wants devices; these are the null device by other names.
            device = self.folder / f"dev/gpu{number}"
            os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        hosts = ["127.0.0.1 localhost", f"{self._gateway} login"]
        hosts += [f"{self._network}.{n} {node}" for n, node in enumerate(self.nodes, 1)]
        (etc / "hosts").write_text("\n".join([*hosts, ""]))
        (etc / "resolv.conf").write_text("")
        (etc / "gres.conf").write_text(
            f"AutoDetect=off\nName=gpu File={self.folder}/dev/gpu[0-{gpus - 1}]\n"
        )
        shutil.copy(HERE / "job_submit.lua", etc)
        template = (HERE / "slurm.conf").read_text()
        for name, value in {
            "lab": self.folder,
            "gateway": self._gateway,
            "network": self._network,
            "nodes": nodes,
            "gpus": gpus,
            "cpus": cpus,
        }.items():
            template = template.replace(f"{{{name}}}", str(value))
        (etc / "slurm.conf").write_text(template)

    def __enter__(self) -> Lab:
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.down()


def _youngest(pid: int) -> int | None:
    """The script at the end of a line of only children, once it is there."""
    while (name := _command(pid)) in ("setpriv", "nsenter", "unshare"):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            return None
        pid = int(children[0])
    return pid if name in ("login.sh", "node.sh") else None


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except FileNotFoundError:
        return ""


def main() -> int:
    """A shell on the login host of a new lab."""
    reason = why_not()
    if reason:
        print(f"error: {reason}")
        return 2
    with Lab() as lab:
        print(lab.run("sinfo", "-N", "-o", "%N %P %T %G"))
        print(
            f"A Slurm of {len(lab.nodes)} nodes; leave this shell to end it. Logs: {lab.folder}/log"
        )
        shell = lab.start(os.environ.get("SHELL", "/bin/sh"))
        shell.wait()  # how its last command ended is no matter of ours
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
