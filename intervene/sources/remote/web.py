"""A folder of files on a web server."""

import re
import threading
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

import httpx2

from intervene.errors import InterveneError
from intervene.sources.remote.listing import Absent, Changed, FarFile
from intervene.sources.remote.ranges import Answer, Target, ask, find_mark, measure, read_range
from intervene.sources.remote.retry import retry

PAGE_BYTES = 1 << 24
"""More is no list of files."""
HREF = re.compile(r"""href\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)


def hide_secrets(address: str) -> str:
    """An address without its user, password and query."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class Web:
    """A folder of a web server.

    Args:
        folder: its address, which may hold a password and a query.
        address: what is printed and keyed.
    """

    commit = None

    def __init__(self, folder: str, address: str) -> None:
        self.address = address
        self._parts = urlsplit(folder)
        self._halt = threading.Event()
        self._client = httpx2.Client()

    def names(self) -> list[str]:
        """The `.bin` and `.idx` files that the folder's page links to."""
        target = self._aim("")

        def look() -> tuple[str, str]:
            with ask(self._client, target, 0, None) as answer:
                page = bytearray()
                for block in answer.iter_bytes():
                    page += block
                    if len(page) > PAGE_BYTES:
                        break
                return page.decode(errors="replace"), str(answer.url)

        try:
            page, url = retry(look, target.shown, self._halt)
        except Absent as problem:
            remedy = "give the address of one shard, …/NAME-00000-of-000LL.bin, or of the .bin"
            raise InterveneError(problem.what, target.shown, remedy) from problem
        links = [urlsplit(urljoin(url, link)).path for link in HREF.findall(page)]
        folder = urlsplit(url).path.rpartition("/")[0] + "/"
        here = {unquote(path.removeprefix(folder)) for path in links if path.startswith(folder)}
        return sorted(n for n in here if "/" not in n and n.endswith((".bin", ".idx")))

    def describe(self, name: str) -> FarFile:
        """Size and ETag of a file."""
        size, headers = measure(self._client, self._aim(name), self._halt)
        return FarFile(name, size, find_mark(headers))

    def read(self, file: FarFile, start: int, out: memoryview) -> None:
        """Fill `out` with the file's bytes from `start` on."""
        target = self._aim(file.name, file.mark, known=True)
        read_range(self._client, target, start, file.bytes, out, self._halt)

    def halt(self) -> None:
        """Let reads that are under way end soon."""
        self._halt.set()

    def _aim(self, name: str, mark: str | None = None, *, known: bool = False) -> Target:
        folder = self._parts.path.rstrip("/")
        url = urlunsplit(self._parts._replace(path=f"{folder}/{quote(name)}"))
        shown = hide_secrets(url)

        def check(answer: Answer) -> None:
            found = find_mark(answer.headers)
            if mark is not None and found != mark:
                raise Changed(f"it was {mark} when it was listed and is {found} now", shown)

        return Target(url, shown, {}, check, known=known)
