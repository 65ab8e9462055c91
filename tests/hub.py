"""A loopback server that speaks as much of the Hugging Face Hub as a download needs."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serve_hub(
    files: dict[str, bytes], contents: str | None = None, token: str | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Serve `repo/path` files of one commit.

    Args:
        files: bytes by repository and path.
        contents: the address of another server, whose files are named by their sha256, to which
            requests for a file are sent on, as the Hub does with large files.
        token: without it every request is refused.

    Returns:
        The endpoint, and the list of paths served or sent on.
    """
    served: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.split("?")[0].strip("/")
            if token is not None and self.headers.get("Authorization") != f"Bearer {token}":
                self._refuse(401, "GatedRepo")
                return
            if path.startswith("api/"):
                self._send(json.dumps(self._describe(path)).encode(), "application/json")
                return
            repo_path = path.removeprefix("datasets/")
            repo, _, rest = repo_path.partition("/resolve/")
            name = f"{repo}/{rest.partition('/')[2]}"
            if name not in files:
                self._refuse(404, "EntryNotFound")
                return
            if self.command == "GET":
                served.append(name)
            if contents is None:
                self._send(files[name], "application/octet-stream")
            else:
                self._send_on(files[name])

        do_HEAD = do_GET

        def _describe(self, path: str) -> object:
            kind, _, rest = path.removeprefix("api/").partition("/")
            repo = "/".join(rest.split("/")[:2])
            mine = {n.removeprefix(f"{repo}/"): b for n, b in files.items() if n.startswith(repo)}
            if "/tree/" in rest:
                return [
                    {"type": "file", "path": n, "size": len(b), "oid": hashlib.sha1(b).hexdigest()}
                    for n, b in mine.items()
                ]
            siblings = [
                {"rfilename": n, "size": len(b), "blobId": hashlib.sha1(b).hexdigest(), "lfs":
                 {"sha256": hashlib.sha256(b).hexdigest(), "size": len(b), "pointerSize": 134}}
                for n, b in mine.items()
            ]  # fmt: skip
            return {"id": repo, "sha": COMMIT, "siblings": siblings, "private": False,
                    "tags": [], "downloads": 0, "likes": 0, "kind": kind}  # fmt: skip

        def _refuse(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send_on(self, body: bytes) -> None:
            digest = hashlib.sha256(body).hexdigest()
            self.send_response(302)
            self.send_header("Location", f"{contents}/{digest}.bin?signature=x")
            self.send_header("X-Linked-ETag", f'"{digest}"')
            self.send_header("X-Linked-Size", str(len(body)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", served
    finally:
        server.shutdown()
        server.server_close()
