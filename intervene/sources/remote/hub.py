"""A dataset on the Hugging Face Hub, at one commit."""

import re
import threading
from functools import cached_property
from urllib.parse import unquote

import httpx2
from huggingface_hub import HfApi, get_session, hf_hub_url
from huggingface_hub.hf_api import DatasetInfo
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from intervene.errors import InterveneError
from intervene.sources.remote.listing import Absent, Changed, FarFile
from intervene.sources.remote.ranges import Answer, Target, find_pause, read_range
from intervene.sources.remote.retry import Passing, Unreachable, retry, shorten

SCHEME = "hf://"
COMMIT = re.compile(r"[0-9a-f]{40}")
ADDRESS = re.compile(
    r"hf://datasets/(?P<repo>[^/@]+/[^/@]+)(@(?P<revision>[^/]+))?(/(?P<path>.*))?"
)
TIMEOUT_SECONDS = 30.0


def explain_hub(problem: Exception, where: str, remedy: str) -> InterveneError:
    """What the Hub's client raised, as a user's error: its first line and what to do.

    The client raises many unrelated types (its own, the HTTP library's, OSError), all of which mean
    that the file is not to be had; anything else than those keeps its traceback as the cause.
    """
    return InterveneError(
        f"the Hugging Face Hub did not give it ({shorten(problem)})", where, remedy
    )


class Hub:
    """A folder of a Hub dataset.

    Args:
        repo: the dataset.
        revision: its branch, tag or commit.
        folder: where its shards lie, "" for the top.
        address: what is printed and keyed.
    """

    def __init__(self, repo: str, revision: str, folder: str, address: str) -> None:
        self.repo, self.revision, self.address = repo, revision, address
        self._folder = f"{folder}/" if folder else ""
        self._halt = threading.Event()

    @cached_property
    def commit(self) -> str:
        """The revision's commit, asked for once."""
        if COMMIT.fullmatch(self.revision):
            return self.revision
        assert self._info.sha is not None
        return self._info.sha

    def names(self) -> list[str]:
        """The files of the folder."""
        return list(self._files)

    def describe(self, name: str) -> FarFile:
        """A file, marked by the sha256 of its content, or by git's digest where it is small."""
        if name not in self._files:
            raise Absent(
                f"commit {self.commit} has no file {self._folder}{name}",
                self.address,
                "check data.repo or data.path, and data.revision",
            )
        return self._files[name]

    def read(self, file: FarFile, start: int, out: memoryview) -> None:
        """Fill `out` with the file's bytes from `start` on, at the commit."""
        path = f"{self._folder}{file.name}"
        url = hf_hub_url(self.repo, path, repo_type="dataset", revision=self.commit)

        def check(answer: Answer) -> None:
            for step in (*answer.history, answer):
                content = step.headers.get("x-linked-etag", "").removeprefix("W/").strip('"')
                commit = step.headers.get("x-repo-commit", self.commit)
                if commit != self.commit or content not in ("", file.mark):
                    raise Changed(f"commit {commit}, content {content}", url)

        target = Target(url, url, build_hf_headers(), check, known=True)
        read_range(get_session(), target, start, file.bytes, out, self._halt)

    def halt(self) -> None:
        """Let reads that are under way end soon."""
        self._halt.set()

    @cached_property
    def _info(self) -> DatasetInfo:
        where = f"{self.address}@{self.revision}"

        def ask() -> DatasetInfo:
            try:
                return HfApi().dataset_info(
                    self.repo, revision=self.revision, files_metadata=True, timeout=TIMEOUT_SECONDS
                )
            except httpx2.TimeoutException as problem:
                raise Passing(shorten(problem)) from problem
            except httpx2.HTTPError as problem:
                answer = getattr(problem, "response", None)
                if answer is not None and (answer.status_code == 429 or answer.status_code >= 500):
                    raise Passing(shorten(problem), find_pause(answer.headers)) from problem
                raise

        try:
            return retry(ask, where, self._halt)
        except (httpx2.HTTPError, OSError, ValueError) as problem:
            told = explain_hub(
                problem, where, "check data.repo and the network, log in, or set data.path"
            )
            absent = getattr(problem, "response", None) is not None
            kind = InterveneError if absent else Unreachable
            raise kind(told.what, told.where, told.remedy) from problem

    @cached_property
    def _files(self) -> dict[str, FarFile]:
        """The files right below the folder, by name."""
        found = {}
        for file in self._info.siblings or []:
            name = file.rfilename.removeprefix(self._folder)
            inside = file.rfilename.startswith(self._folder) and "/" not in name
            if inside and file.size is not None:
                mark = file.lfs.sha256 if file.lfs else file.blob_id
                found[name] = FarFile(name, file.size, mark)
        return found


def parse_address(address: str) -> tuple[str, str | None, str]:
    """Repository, revision and path of `hf://datasets/owner/name@revision/path`.

    Errors: InterveneError.
    """
    found = ADDRESS.fullmatch(address)
    if found is None:
        raise InterveneError(
            "not an address of a dataset on the Hub",
            f"data.path={address}",
            "write hf://datasets/owner/name@revision/folder",
        )
    revision = found["revision"]
    return found["repo"], unquote(revision) if revision else None, (found["path"] or "").strip("/")
