"""A loopback web server that serves byte ranges, and can be told to serve them badly."""

import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Asked:
    """A request: path, half-open byte range, None for all, and its headers."""

    path: str
    range: tuple[int, int] | None
    headers: dict[str, str]


@dataclass
class Web:
    """What a server serves, and what it was asked.

    Args:
        files: bytes by path, without the leading slash; may change while it serves.
        spoil: answers a request itself and returns True, or leaves it to the server.
        asked: all requests.
        served_bytes: of bodies.
        url: the address.
    """

    files: dict[str, bytes]
    spoil: "Callable[[Request, bytes, int, int], bool] | None" = None
    marks: bool = True
    asked: list[Asked] = field(default_factory=list)
    served_bytes: int = 0
    url: str = ""

    def ranges(self) -> list[tuple[int, int]]:
        """The byte ranges of `.bin` files that were asked for, but for the probes of their size."""
        return [a.range for a in self.asked if ".bin" in a.path and a.range not in (None, (0, 1))]


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web

    def do_GET(self) -> None:
        path = self.path.split("?")[0].strip("/")
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        span = (int(found[1]), int(found[2]) + 1) if found else None
        self.web.asked.append(Asked(path, span, dict(self.headers)))
        body = self.web.files.get(path)
        if body is None and any(name.startswith(f"{path}/") for name in self.web.files):
            self.send_page(path)
            return
        start, stop = (span[0], min(span[1], len(body or b""))) if span else (0, len(body or b""))
        if self.web.spoil is not None and self.web.spoil(self, body or b"", start, stop):
            return
        if body is None:
            self.send(404, b"none", {})
        elif span is None:
            self.send(200, body, self.mark(body))
        else:
            self.send_range(body, start, stop)

    def send_range(self, body: bytes, start: int, stop: int, **headers: str) -> None:
        """Answer as a sound server does, but for the headers given."""
        sound = {"Content-Range": f"bytes {start}-{stop - 1}/{len(body)}", **self.mark(body)}
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        self.send(206, body[start:stop], sound | named)

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, text in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)
        self.web.served_bytes += len(body)

    def cut(self, body: bytes, start: int, stop: int, sent: int) -> None:
        """Promise bytes `[start, stop)`, send so many and hang up."""
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(body)}")
        self.send_header("Content-Length", str(stop - start))
        for name, text in self.mark(body).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body[start : start + sent])
        self.wfile.flush()
        self.web.served_bytes += sent
        self.close_connection = True
        self.connection.close()

    def mark(self, body: bytes) -> dict[str, str]:
        return {"ETag": f'"{sha256(body).hexdigest()[:16]}"'} if self.web.marks else {}

    def send_page(self, folder: str) -> None:
        names = sorted(n for n in self.web.files if n.rpartition("/")[0] == folder)
        links = "".join(f'<a href="/{n}">{n}</a><br>' for n in names)
        page = f'<html><a href="../">up</a><a href="?C=N;O=D">Name</a>{links}</html>'
        self.send(200, page.encode(), {"Content-Type": "text/html"})

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serve(web: Web) -> Iterator[Web]:
    """Serve on a port that the kernel chooses, in threads of this process."""
    handler = type("Handler", (Request,), {"web": web})

    class Server(ThreadingHTTPServer):
        request_queue_size = 64

        def handle_error(self, *args: object) -> None:
            """A client that hung up is no news."""

    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    web.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()


def cut_at_random(share: float, seed: int = 0) -> Callable[[Request, bytes, int, int], bool]:
    """A spoiler that hangs up in the middle of this share of the answers."""
    draw = random.Random(seed)
    lock = threading.Lock()

    def spoil(request: Request, body: bytes, start: int, stop: int) -> bool:
        with lock:
            unlucky, sent = draw.random() < share, draw.randrange(max(stop - start, 1))
        if unlucky and body:
            request.cut(body, start, stop, sent)
        return unlucky and bool(body)

    return spoil
