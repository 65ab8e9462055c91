"""What SLURM says of jobs: which are in its queue, and how one ended that is not."""

import re
import shutil
import subprocess
from collections.abc import Sequence

from intervene.errors import InterveneError

LIMIT_SECONDS = 60.0
LIVE = "PENDING,RUNNING,SUSPENDED,CONFIGURING,COMPLETING,REQUEUED,REQUEUE_HOLD,RESIZING,SIGNALING"


def check_slurm() -> None:
    """Refuse a machine that cannot submit.

    Errors: InterveneError.
    """
    for program in ("sbatch", "squeue", "scontrol"):
        if shutil.which(program) is None:
            raise InterveneError(
                f"{program} is not installed here",
                "launcher=slurm",
                "run this on a machine that submits to SLURM, or set launcher=local",
            )


def ask_slurm(*command: str) -> str:
    """What a command of SLURM prints.

    Errors: InterveneError if the controller does not answer, or refuses.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=LIMIT_SECONDS
        )
    except FileNotFoundError as problem:
        raise _refuse(command, "it is not installed here") from problem
    except subprocess.TimeoutExpired as problem:
        raise _refuse(command, f"no answer in {LIMIT_SECONDS:.0f} s") from problem
    except subprocess.CalledProcessError as problem:
        raise _refuse(command, problem.stderr) from problem
    return done.stdout


def read_queue() -> dict[str, str]:
    """This user's live jobs: `12`, or `12_3` of an array, and the state of each with its reason.

    Errors: as `ask_slurm`.
    """
    said = ask_slurm("squeue", "--me", "--noheader", "--array", f"--states={LIVE}",
                     "--format=%i|%T|%r")  # fmt: skip
    jobs = {}
    for line in said.splitlines():
        job, state, reason = line.strip().split("|", 2)
        jobs[job] = state if reason in ("None", "") else f"{state}, {reason}"
    return jobs


def describe_end(job: str) -> str:
    """How a job ended that is not in the queue, as far as SLURM remembers."""
    for look in (_ask_controller, _ask_accounting):
        try:
            if found := look(job):
                return found
        except InterveneError:  # forgotten, or no accounting
            continue
    return "it is not in the queue any more, and SLURM does not remember how it ended"


def is_running(job: str) -> bool:
    """Whether the controller has a job as running: neither cancelled nor at its time limit."""
    return _show_job(job).get("JobState") == "RUNNING"


def requeue(job: str) -> None:
    """Have a running job begin again.

    Errors: as `ask_slurm`.
    """
    ask_slurm("scontrol", "requeue", job)


def cancel(jobs: Sequence[str]) -> None:
    """Cancel jobs.

    Errors: as `ask_slurm`.
    """
    ask_slurm("scancel", *jobs)


def _ask_controller(job: str) -> str | None:
    facts = _show_job(job)
    if not facts.get("JobState"):
        return None
    parts = [facts["JobState"]]
    if facts.get("Reason", "None") != "None":
        parts.append(f"reason {facts['Reason']}")
    code, _, signal = facts.get("ExitCode", "0:0").partition(":")
    if signal not in ("", "0"):
        parts.append(f"signal {signal}")
    elif code != "0":
        parts.append(f"exit code {code}")
    return ", ".join(parts)


def _show_job(job: str) -> dict[str, str]:
    said = ask_slurm("scontrol", "show", "job", "--oneliner", job)
    return dict(re.findall(r"(\w+)=(\S*)", said))


def _ask_accounting(job: str) -> str | None:
    said = ask_slurm("sacct", "--noheader", "--parsable2", "--jobs", job, "--format=State,ExitCode")
    lines = said.splitlines()
    if not lines:
        return None
    state, _, code = lines[0].partition("|")
    return f"{state}, exit code {code}"


def _refuse(command: Sequence[str], said: str | None) -> InterveneError:
    words = " ".join((said or "it failed").split())
    return InterveneError(
        f"{command[0]}: {words}",
        "launcher=slurm",
        "see that SLURM's controller answers, and give the command again",
    )
