"""Rows behind a web server: the right bytes or one line, whatever the server does."""

import contextlib
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import pytest

from intervene.errors import InterveneError
from intervene.lineage import Store
from intervene.sources.remote import pieces, ranges, retry
from tests.sources.far import ROW_BYTES, describe_data, read_steps, truth, write_corpus
from tests.web import Request, Web, cut_at_random, serve

Spoil = Callable[[Request, bytes, int, int], bool]
STEPS = (30, 80)
NEED = 50 * 4 * ROW_BYTES


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 512)
    monkeypatch.setattr(retry, "PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    return {f"rows/{name}": raw for name, raw in write_corpus(tmp_path / "rows").items()}


def fetch(web: Web, store: Store, name: str = "") -> bytes:
    return read_steps(store, describe_data(f"{web.url}/rows/{name}", STEPS))


def refuse(web: Web, store: Store, name: str = "") -> str:
    """The one line of the error; nothing of it is in the store."""
    with pytest.raises(InterveneError) as caught:
        fetch(web, store, name)
    assert store.artefacts() == []
    line = str(caught.value)
    assert "\n" not in line
    return line


def later(spoil: Spoil) -> Spoil:
    """Spoil what is asked for after the sizes of the files are known and the index is read."""

    def spoil_pieces(request: Request, body: bytes, start: int, stop: int) -> bool:
        small = (start, stop) == (0, 1) or ".bin" not in request.path
        return not small and spoil(request, body, start, stop)

    return spoil_pieces


@pytest.mark.parametrize("name", ["", "document-00000-of-00002.bin", "document-00002-of-00002.bin"])
def test_folder_and_any_of_its_shards_give_the_rows(
    files: dict[str, bytes], store: Store, name: str
) -> None:
    with serve(Web(files)) as web:
        assert fetch(web, store, name) == truth(*STEPS)


def test_only_the_bytes_of_the_stretch_are_asked_for(files: dict[str, bytes], store: Store) -> None:
    with serve(Web(files)) as web:
        fetch(web, store)
        assert sum(stop - start for start, stop in web.ranges()) == NEED


def test_single_bin_without_an_index_is_a_corpus(files: dict[str, bytes], store: Store) -> None:
    whole = b"".join(raw for name, raw in files.items() if name.endswith(".bin"))
    with serve(Web({"rows/all.bin": whole})) as web:
        assert fetch(web, store, "all.bin") == truth(*STEPS)


def test_password_and_query_are_sent_but_not_kept(files: dict[str, bytes], store: Store) -> None:
    with serve(Web(files)) as web:
        address = (
            web.url.replace("//", "//me:secret@") + "/rows/document-00000-of-00002.bin?key=k3y"
        )
        assert read_steps(store, describe_data(address, STEPS)) == truth(*STEPS)
        assert all("Authorization" in asked.headers for asked in web.asked)
    (artefact,) = store.artefacts("fetched")
    kept = (artefact.path / "manifest.json").read_text()
    assert "secret" not in kept
    assert "k3y" not in kept


def test_second_call_asks_for_no_rows(files: dict[str, bytes], store: Store) -> None:
    with serve(Web(files)) as web:
        fetch(web, store)
        before = len(web.ranges())
        fetch(web, store)
        assert len(web.ranges()) == before


def test_longer_stretch_costs_what_is_new(files: dict[str, bytes], store: Store) -> None:
    with serve(Web(files)) as web:
        read_steps(store, describe_data(f"{web.url}/rows", (40, 50)))
        read_steps(store, describe_data(f"{web.url}/rows", (60, 65)))
        web.asked.clear()
        assert fetch(web, store) == truth(*STEPS)
        assert sum(stop - start for start, stop in web.ranges()) == NEED - 15 * 4 * ROW_BYTES


def test_server_that_is_gone_is_not_needed_for_what_is_there(
    files: dict[str, bytes], store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(Web(files)) as web:
        fetch(web, store)
    assert fetch(web, store) == truth(*STEPS)
    assert "knows of it instead" in capsys.readouterr().err


def test_server_without_ranges_is_refused_before_its_body_is_read(
    files: dict[str, bytes], store: Store
) -> None:
    files = {name: raw if ".idx" in name else raw + bytes(1 << 25) for name, raw in files.items()}

    def ignore_range(request: Request, body: bytes, start: int, stop: int) -> bool:
        request.send(200, body, {})
        return True

    with serve(Web(files, ignore_range)) as web:
        began = time.monotonic()
        line = refuse(web, store, "document-00000-of-00002.bin")
        assert "does not serve byte ranges" in line
        assert "document-0000" in line
        assert web.served_bytes < 1 << 24
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_cut_connections_cost_only_more_requests(
    files: dict[str, bytes], store: Store, share: float, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(Web(files, cut_at_random(share))) as web:
        got = None
        for _ in range(20):  # a piece that is cut six times is an error, and the next call goes on
            with contextlib.suppress(InterveneError):
                got = fetch(web, store)
                break
            assert store.artefacts() == []
        assert got == truth(*STEPS)
    assert "trying again in" in capsys.readouterr().err


def test_what_a_cut_connection_gave_is_not_asked_for_again(
    files: dict[str, bytes], store: Store
) -> None:
    def cut_long(request: Request, body: bytes, start: int, stop: int) -> bool:
        if stop - start > 120:
            request.cut(body, start, stop, 120)
        return stop - start > 120

    with serve(Web(files, later(cut_long))) as web:  # 512 bytes take four cuts and a sound answer
        assert fetch(web, store) == truth(*STEPS)
        assert web.served_bytes < NEED + len(files["rows/document.idx"]) + 2000


def send_less(request: Request, body: bytes, start: int, stop: int) -> None:
    """Promise bytes `[start, stop)` and send a third of them as a whole answer."""
    promised = {"Content-Range": f"bytes {start}-{stop - 1}/{len(body)}"}
    request.send(206, body[start : start + (stop - start) // 3], promised | request.mark(body))


def test_short_reads_are_gone_on_with(files: dict[str, bytes], store: Store) -> None:
    def send_less_of_much(request: Request, body: bytes, start: int, stop: int) -> bool:
        if stop - start > 100:
            send_less(request, body, start, stop)
        return stop - start > 100

    with serve(Web(files, later(send_less_of_much))) as web:
        assert fetch(web, store) == truth(*STEPS)


def test_reads_that_stay_short_are_refused(files: dict[str, bytes], store: Store) -> None:
    with serve(Web(files, later(lambda *asked: send_less(*asked) is None))) as web:
        assert "the answer ends at byte" in refuse(web, store)


def test_bytes_beyond_the_promised_are_refused(files: dict[str, bytes], store: Store) -> None:
    def send_more(request: Request, body: bytes, start: int, stop: int) -> bool:
        promised = {"Content-Range": f"bytes {start}-{stop - 1}/{len(body)}"}
        request.send(206, body[start:stop] + b"more", promised | request.mark(body))
        return True

    with serve(Web(files, later(send_more))) as web:
        assert "the answer holds more than the" in refuse(web, store)


def answer(status: int, body: bytes = b"", **headers: str) -> Spoil:
    def spoil(request: Request, whole: bytes, start: int, stop: int) -> bool:
        request.send(status, body, {n.replace("_", "-"): text for n, text in headers.items()})
        return True

    return spoil


@pytest.mark.parametrize("status", [401, 403, 404, 416])
def test_no_is_not_asked_twice(files: dict[str, bytes], store: Store, status: int) -> None:
    with serve(Web(files, answer(status))) as web:
        line = refuse(web, store, "document-00000-of-00002.bin")
        asked = [a.path for a in web.asked]
        assert len(set(asked)) == len(asked)
    assert f"answers {status}" in line
    assert "document-00000-of-00002.bin byte 0" in line


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_server_is_asked_so_many_times(
    files: dict[str, bytes], store: Store, status: int
) -> None:
    with serve(Web({"rows/all.bin": files["rows/document.idx"]}, answer(status))) as web:
        line = refuse(web, store, "all.bin")
        assert len(web.asked) == retry.TRIES
    assert f"answers {status}" in line
    assert "try 6 of 6" in line


@pytest.mark.parametrize("wait", ["1", "date"])
def test_busy_server_is_given_the_time_it_asks_for(
    files: dict[str, bytes], store: Store, wait: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first: list[float] = []

    def refuse_once(request: Request, body: bytes, start: int, stop: int) -> bool:
        if first:
            return False
        first.append(time.monotonic())
        said = wait if wait != "date" else formatdate(time.time() + 2, usegmt=True)
        request.send(429, b"", {"Retry-After": said})
        return True

    with serve(Web(files, later(refuse_once))) as web:
        assert fetch(web, store) == truth(*STEPS)
        assert time.monotonic() - first[0] >= 0.9
    assert "429 Too Many Requests; trying again in" in capsys.readouterr().err.replace(": the", "")


def test_server_that_asks_for_an_hour_is_not_waited_for(
    files: dict[str, bytes], store: Store
) -> None:
    with serve(Web(files, later(answer(429, Retry_After="3600")))) as web:
        assert "answers 429" in refuse(web, store)


@pytest.mark.parametrize("status", [200, 206])
def test_web_page_is_no_rows(files: dict[str, bytes], store: Store, status: int) -> None:
    page = answer(status, b"<html>log in</html>", Content_Type="text/html; charset=utf-8")
    with serve(Web(files, page)) as web:
        assert "web page" in refuse(web, store, "document-00000-of-00002.bin")
    with serve(Web(files, later(page))) as web:
        assert "web page" in refuse(web, store)


@pytest.mark.parametrize(
    "shift", [lambda s, e: (s + 1, e + 1), lambda s, e: (s, e - 1), lambda s, e: (0, e - s)]
)
def test_answer_of_other_bytes_is_refused(
    files: dict[str, bytes], store: Store, shift: Callable[[int, int], tuple[int, int]]
) -> None:
    def serve_others(request: Request, body: bytes, start: int, stop: int) -> bool:
        first, last = shift(start, stop)
        if (first, last) == (start, stop):
            return False
        request.send_range(body, first, last)
        return True

    with serve(Web(files, later(serve_others))) as web:
        line = refuse(web, store)
    assert "Content-Range" in line
    assert "byte" in line.partition(" asked")[0]


def test_encoded_answer_is_refused(files: dict[str, bytes], store: Store) -> None:
    def encode(request: Request, body: bytes, start: int, stop: int) -> bool:
        request.send_range(body, start, stop, Content_Encoding="gzip")
        return True

    with serve(Web(files, later(encode))) as web:
        assert "encoded as gzip" in refuse(web, store)


@pytest.mark.parametrize("grown", [0, 18])
def test_file_that_changes_between_pieces_is_no_mixture(
    files: dict[str, bytes], store: Store, grown: int
) -> None:
    name, count = "rows/document-00001-of-00002.bin", [0]

    def change(request: Request, body: bytes, start: int, stop: int) -> bool:
        count[0] += 1
        if count[0] == 3:
            web.files[name] = bytes(len(web.files[name]) + grown)
        return False

    with serve(Web(files, later(change))) as web:
        line = refuse(web, store)
        assert "has changed" in line
    assert list(store.root.glob("fetched/.*.draft")) == []


def test_changed_file_of_equal_size_is_fetched_anew(files: dict[str, bytes], store: Store) -> None:
    with serve(Web(files)) as web:
        fetch(web, store)
        web.files = {n: bytes(len(b)) if ".bin" in n else b for n, b in files.items()}
        assert fetch(web, store) == bytes(NEED)


def test_missing_shard_is_named(files: dict[str, bytes], store: Store) -> None:
    del files["rows/document-00001-of-00002.bin"]
    with serve(Web(files)) as web:
        assert "document-00001-of-00002.bin: this shard is missing" in refuse(web, store)
        line = refuse(web, store, "document-00000-of-00002.bin")
    assert "document-00001-of-00002.bin byte 0: the server answers 404" in line


def test_stretch_past_the_end_asks_for_no_rows(files: dict[str, bytes], store: Store) -> None:
    with serve(Web(files)) as web:
        with pytest.raises(InterveneError, match=r"has 400 rows, 100 steps of 4"):
            read_steps(store, describe_data(f"{web.url}/rows", (90, 101)))
        assert web.ranges() == []
    assert store.artefacts() == []


def test_bytes_that_are_no_rows_are_refused(files: dict[str, bytes], store: Store) -> None:
    files["rows/document-00002-of-00002.bin"] += b"x"
    with serve(Web(files)) as web:
        line = refuse(web, store)
        assert web.ranges() == []
    assert "1 are left over from byte 7,200" in line
    assert "127.0.0.1" in line


@pytest.mark.parametrize(
    ("at", "raw", "told"),
    [
        (0, b"X", "not a Megatron index: byte 0"),
        (9, b"\x02", "version 2"),
        (17, b"\x04", "dtype code 4 at byte 9"),
        (18, b"\x91", "as bytes 18 to 34 count them"),
        (34 + 4 * 200, b"\x0a", "entry 200, at byte 834, has 10 tokens, not 9"),
    ],
)
def test_index_of_other_rows_is_refused_before_any_is_fetched(
    files: dict[str, bytes], store: Store, at: int, raw: bytes, told: str
) -> None:
    index = files["rows/document.idx"]
    files["rows/document.idx"] = index[:at] + raw + index[at + len(raw) :]
    with serve(Web(files)) as web:
        line = refuse(web, store)
        assert web.ranges() == []
    assert told in line
    assert "document.idx" in line


def test_index_that_counts_other_bytes_is_refused(files: dict[str, bytes], store: Store) -> None:
    files["rows/document-00002-of-00002.bin"] += bytes(ROW_BYTES)
    with serve(Web(files)) as web:
        assert "7,200 bytes, the .bin files hold 7,218" in refuse(web, store)


def test_folder_without_rows_is_refused(store: Store) -> None:
    with serve(Web({"rows/readme.txt": b"none"})) as web:
        assert "no .bin file is listed there" in refuse(web, store)


def test_unmarked_files_are_fetched_but_never_gone_on_with(
    files: dict[str, bytes], store: Store
) -> None:
    with serve(Web(files, later(answer(404)), marks=False)) as web:
        assert "answers 404" in refuse(web, store)
        assert list(store.root.glob("fetched/.*.draft")) == []
        web.spoil = None
        assert fetch(web, store) == truth(*STEPS)


def test_folder_that_lists_nothing_asks_for_a_shard(files: dict[str, bytes], store: Store) -> None:
    with serve(Web(files)) as web, pytest.raises(InterveneError, match="give the address of one"):
        read_steps(store, describe_data(f"{web.url}/elsewhere", STEPS))


def test_cuts_that_give_enough_are_no_failed_tries(
    files: dict[str, bytes], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "WORTH_BYTES", 50)

    def cut_soon(request: Request, body: bytes, start: int, stop: int) -> bool:
        request.cut(body, start, stop, min(60, stop - start))
        return True

    with serve(Web(files, later(cut_soon))) as web:  # 512 bytes take nine answers, more than TRIES
        assert fetch(web, store) == truth(*STEPS)


def test_address_where_nobody_listens_is_one_line_at_once(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    data = describe_data("http://127.0.0.1:9/rows", STEPS)
    with pytest.raises(InterveneError, match=r"^http://127\.0\.0\.1:9/rows/: no connection .*$"):
        read_steps(store, data)
    assert "again" not in capsys.readouterr().err
