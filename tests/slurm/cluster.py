"""A real SLURM on one machine, whose nodes have networks and names of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin", "/sbin"])
NAMESPACES = ("--mount", "--uts", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")
NETWORK = "198.18.{}"
"""Of the range that is set aside for tests of networks (RFC 2544); a cluster takes one of 256."""
HOST, HEAD, FIRST_NODE = 1, 2, 10
NODE = "NodeName={name} NodeAddr={address} CPUs={cpus} RealMemory=64000 State=UNKNOWN"


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs, as the processes of this machine see it.

    Its nodes see this machine's files at the same paths, and no network but the cluster's.

    Args:
        folder: its state and logs.
        nodes: their names.
        link: this machine's end of the cable to the switch.
        head: a process in the network that the switch is in.
        namespace: which all its processes are in, and no others.
    """

    folder: Path
    nodes: tuple[str, ...]
    link: str
    head: int
    namespace: Path

    def environment(self) -> dict[str, str]:
        """The variables of a process that submits jobs."""
        return build_environment(self.folder)

    def run(self, *command: str) -> str:
        """What a command prints that submits, cancels or asks about jobs.

        Errors: CalledProcessError, with what the command said as its note.
        """
        done = subprocess.run(
            command, env=self.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            error = subprocess.CalledProcessError(done.returncode, command)
            error.add_note(done.stderr)
            raise error
        return done.stdout.strip()

    def squeue(self, *options: str) -> str:
        """The jobs that wait or run, a line each."""
        return self.run("squeue", "--noheader", *options)

    def scontrol(self, *words: str) -> str:
        """What SLURM answers to an administrator."""
        return self.run("scontrol", *words)

    def show_job(self, job: str) -> dict[str, str]:
        """What SLURM says about a job, ended or not: JobState, Restarts, ExitCode and more."""
        pairs = self.scontrol("--oneliner", "show", "job", job).split()
        return dict(pair.split("=", 1) for pair in pairs if "=" in pair)

    def wait_for_job(self, job: str, state: str, seconds: float = 60) -> None:
        """Wait until a job is RUNNING, COMPLETED and so on.

        Errors: TimeoutError with what SLURM says about it.
        """
        try:
            wait_until(lambda: self.show_job(job)["JobState"] == state, seconds)
        except TimeoutError:
            raise TimeoutError(f"{job} is not {state}: {self.show_job(job)}") from None

    def nodes_of(self, job: str) -> tuple[str, ...]:
        """Where a job runs or has run last, its batch script on the first; none if it waits."""
        named = self.show_job(job)["NodeList"]
        return () if named == "(null)" else (*self.scontrol("show", "hostnames", named).split(),)

    def list_processes(self) -> list[int]:
        """The pids of all that lives in the cluster, as this machine counts them."""
        found = list[int]()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (process / "ns" / "pid").readlink() == self.namespace:
                    found.append(int(process.name))
        return found

    def pids_of(
        self, job: str, node: str | None = None, rank: int | None = None, command: str = ""
    ) -> list[int]:
        """The processes of a job: its batch script, its srun, its ranks and what they started.

        Args:
            job: its number.
            node: on this one only.
            rank: this one of the first step, and what it started, only.
            command: with this in their command line; srun's holds that of the ranks.
        """
        wanted = {"SLURM_JOB_ID": job}
        wanted |= {} if node is None else {"SLURMD_NODENAME": node}
        # The batch script, too, is told that it is rank 0, but it is in no step.
        wanted |= {} if rank is None else {"SLURM_PROCID": str(rank), "SLURM_STEP_ID": "0"}
        return [
            pid
            for pid, words, variables in self._read_processes()
            if command in words and wanted.items() <= variables.items()
        ]

    def _read_processes(self) -> Iterator[tuple[int, str, dict[str, str]]]:
        """Pid, command line and variables of all that lives in the cluster."""
        for pid in self.list_processes():
            with suppress(OSError):  # it has ended
                process = Path("/proc", str(pid))
                words = (process / "cmdline").read_text(errors="replace").replace("\0", " ")
                pairs = (process / "environ").read_text(errors="replace").split("\0")
                yield pid, words, dict(pair.split("=", 1) for pair in pairs if "=" in pair)

    def clear(self, seconds: float = 30) -> None:
        """Cancel all jobs and wait until they have ended."""
        self.run("scancel", "--user=root")
        wait_until(lambda: not self.squeue(), seconds)

    def list_ready(self) -> list[str]:
        """The nodes that are heard and run jobs or would."""
        which = ("--Node", "--responding", "--states=idle,allocated,mixed")
        return self.run("sinfo", "--noheader", *which, "--format=%N").split()

    def lose_node(self, node: str) -> None:
        """Cut a node's cable. What runs on it goes on, and still sees the files."""
        self._set_link(node, "down")

    def revive(self, node: str, seconds: float = 60) -> None:
        """Mend a node's cable and wait until it is ready.

        What runs on it of jobs that SLURM has taken from it is ended; SLURM itself does so half a
        minute after it has the node back.
        """
        kept = self.squeue(f"--nodelist={node}", "--format=%A").split()
        for pid, _, variables in self._read_processes():
            mine = variables.get("SLURMD_NODENAME") == node
            if mine and variables.get("SLURM_JOB_ID") not in kept:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._set_link(node, "up")
        self.scontrol("reconfigure")  # or the controller asks for it half a minute later
        wait_until(lambda: node in self.list_ready(), seconds)

    def _set_link(self, node: str, state: str) -> None:
        switch = ("nsenter", f"--target={self.head}", "--net")
        self.run(*switch, "ip", "link", "set", node, state)


@contextmanager
def start_cluster(
    folder: Path, nodes: tuple[str, ...] = ("n0", "n1", "n2"), cpus: int = 1
) -> Iterator[Cluster]:
    """Run a cluster until the block is left, or this process ends in whatever way.

    The first process in its namespaces (`head.sh`) ends when the pipe to it closes, and then the
    kernel ends the rest: daemons, jobs and links. Any number of clusters may run at once.

    Args:
        folder: is made; a short path, as sockets are in it.
        nodes: their names.
        cpus: of each node, whatever the machine has.

    Errors: RuntimeError with what the daemons said.
    """
    for name in ("log", "munge", "networks", "state", *(f"spool/{node}" for node in nodes)):
        (folder / name).mkdir(parents=True)
    with (folder / "log" / "head.out").open("w") as said:
        process = subprocess.Popen(
            ["unshare", *NAMESPACES, "bash", HERE / "head.sh", folder, *nodes],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env=build_environment(folder),
            text=True,
            start_new_session=True,  # Ctrl-C is for this process
        )
    with process as head:
        assert head.stdin
        assert head.stdout
        if not head.stdout.readline():  # which says that its namespaces are there
            raise RuntimeError(read_logs(folder))
        namespace = Path(f"/proc/{head.pid}/ns/pid_for_children").readlink()
        link, network = plug_in(head.pid)
        write_settings(folder, network, nodes, cpus)
        print("the uplink is there", file=head.stdin, flush=True)
        cluster = Cluster(folder, nodes, link, head.pid, namespace)
        await_nodes(cluster, head)
        yield cluster


def build_environment(folder: Path) -> dict[str, str]:
    """This process's variables, but with this cluster in place of any other."""
    other = ("SLURM", "SBATCH_", "SRUN_")  # this machine may itself be a node
    mine = {name: text for name, text in os.environ.items() if not name.startswith(other)}
    return {**mine, "PATH": PATH, "SLURM_CONF": str(folder / "slurm.conf")}


def plug_in(head: int) -> tuple[str, str]:
    """Lay a cable from this machine to the network of a process, which has it as `uplink`.

    Returns:
        This end's name, and what the addresses of a network that is free begin with.
    """
    for number in range(256):
        link, network = f"slurm{number}", NETWORK.format(number)
        cable = ["ip", "link", "add", link, "type", "veth", "peer", "name", "uplink"]
        laid = subprocess.run(
            [*cable, "netns", str(head)], capture_output=True, text=True, check=False
        )
        if laid.returncode == 0:
            break
        if not Path("/sys/class/net", link).exists():
            raise RuntimeError(f"no cable: {laid.stderr}")
    subprocess.run(["ip", "address", "add", f"{network}.{HOST}/24", "dev", link], check=True)
    subprocess.run(["ip", "link", "set", link, "up"], check=True)
    return link, network


def write_settings(folder: Path, network: str, nodes: tuple[str, ...], cpus: int) -> None:
    """Write `slurm.conf`, and the `hosts` by which all know one another."""
    places = {"head": f"{network}.{HEAD}"}
    places |= {name: f"{network}.{FIRST_NODE + n}" for n, name in enumerate(nodes)}
    settings = (HERE / "slurm.conf").read_text().format(folder=folder, head=places["head"])
    lines = [NODE.format(name=name, address=places[name], cpus=cpus) for name in nodes]
    (folder / "slurm.conf").write_text("\n".join([settings, *lines, ""]))
    hosts = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in places.items())]
    # Or slurmd looks for the machine's cgroups, which it is not to use.
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    (folder / "hosts").write_text("\n".join([*hosts, ""]))


def await_nodes(cluster: Cluster, head: subprocess.Popen[str]) -> None:
    """Wait until all nodes take jobs.

    Errors: RuntimeError with the ends of the logs.
    """

    def is_up() -> bool:
        with suppress(subprocess.CalledProcessError):  # no controller answers yet
            return {*cluster.list_ready()} == {*cluster.nodes}
        return head.poll() is not None

    with suppress(TimeoutError):
        wait_until(is_up, 30)
        if head.poll() is None:
            return
    raise RuntimeError(read_logs(cluster.folder))


def read_logs(folder: Path) -> str:
    """The ends of the logs of a cluster that does not start."""
    logs = sorted((folder / "log").iterdir())
    return "\n".join(f"{log.name}: {log.read_text()[-1000:]}" for log in logs)


def wait_until(check: Callable[[], bool], seconds: float) -> None:
    """Ask ten times a second until the answer is yes.

    Errors: TimeoutError.
    """
    last = time.monotonic() + seconds
    while not check():
        if time.monotonic() > last:
            raise TimeoutError(f"not after {seconds} s")
        time.sleep(0.1)
