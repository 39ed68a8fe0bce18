"""Downloads, against a server on 127.0.0.1 that behaves as badly as the world's."""

import json
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqrl.data.cache import look_up
from seqrl.data.download import fetch
from seqrl.errors import DataError
from tests.conftest import Ended
from tests.data.making import layout, write_hdf5

CONTENT = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(250_000)
STALL = 1.0
"""Seconds after which a download here counts as stalled; busy machines pause for some tenths."""

Behave = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Does what the test wrote down for this request, else sends the file as it should be sent."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        """Answer."""
        self.close_connection = True
        self.server.asked.append(Asked(self.path, dict(self.headers)))
        behave = self.server.script.pop(0) if self.server.script else send
        behave(self)

    def head(self, status: int, **headers: object) -> None:
        """Send a status and headers."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def body(self, content: bytes) -> None:
        """Send bytes, and remember how many."""
        self.server.asked[-1].sent += len(content)
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@dataclass
class Asked:
    """One request, and how much of a body it was answered with."""

    path: str
    headers: dict[str, str]
    sent: int = 0


class Server(ThreadingHTTPServer):
    """A file server with one file, and a script for its next answers."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen at any free port."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Behave] = []
        self.asked: list[Asked] = []
        self.content, self.tag = CONTENT, '"one"'
        self.go_on = threading.Event()

    @property
    def url(self) -> str:
        """Where the file is."""
        return f"http://127.0.0.1:{self.server_port}/file.bin"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about."""


def send(handler: Handler, keep: int | None = None) -> None:
    """Send the file as a good server does; of it only the first `keep` bytes, if given."""
    content, tag = handler.server.content, handler.server.tag
    asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range") or "")
    if not asked or handler.headers.get("If-Range", tag) != tag:
        handler.head(200, Content_Length=len(content), ETag=tag)
        handler.body(content[:keep])
    elif (first := int(asked[1])) >= len(content):
        handler.head(416, Content_Length=0, Content_Range=f"bytes */{len(content)}")
    else:
        rest = content[first:]
        span = f"bytes {first}-{len(content) - 1}/{len(content)}"
        handler.head(206, Content_Length=len(rest), Content_Range=span, ETag=tag)
        handler.body(rest[:keep])


def cut(keep: int) -> Behave:
    return lambda handler: send(handler, keep)


def status(code: int) -> Behave:
    return lambda handler: handler.head(code, Content_Length=0)


def redirect(to: str) -> Behave:
    return lambda handler: handler.head(302, Location=to, Content_Length=0)


def stall(handler: Handler) -> None:
    """Promise everything, send a little, and fall silent."""
    send(handler, 1000)
    handler.wfile.flush()
    handler.server.go_on.wait(10)


def silence(handler: Handler) -> None:
    """Take the request and never answer."""
    handler.server.go_on.wait(10)


def reset(handler: Handler) -> None:
    """Break the connection in the middle, not in order but with a reset."""
    send(handler, 1000)
    handler.wfile.flush()
    time.sleep(0.1)  # what was sent arrives first
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()


def no_length(handler: Handler) -> None:
    handler.head(200)
    handler.body(CONTENT)


def strange_length(handler: Handler) -> None:
    handler.head(200, Content_Length="many")
    handler.body(CONTENT)


def empty(handler: Handler) -> None:
    handler.head(200, Content_Length=0)


def other_piece(handler: Handler) -> None:
    """Send the first bytes, whatever piece was asked for."""
    handler.head(206, Content_Length=1000, Content_Range=f"bytes 0-999/{len(CONTENT)}")
    handler.body(CONTENT[:1000])


def html(handler: Handler) -> None:
    page = b"<!DOCTYPE html><title>Please log in</title>"
    handler.head(200, Content_Length=len(page), Content_Type="text/html")
    handler.body(page)


def garbage(handler: Handler) -> None:
    handler.wfile.write(b"220 ftp.example.org ready\r\n\r\n")


@pytest.fixture
def server() -> Iterator[Server]:
    """A file server for one test."""
    with Server() as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.02,))
        thread.start()
        yield listening
        listening.go_on.set()
        listening.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the file is to come."""
    return tmp_path / "files" / "file.bin"


@dataclass
class Watch:
    """A progress that remembers what it was told."""

    told: list[tuple[str, float, float, str]] = field(default_factory=list)

    def __call__(self, doing: str, done: float, total: float, unit: str) -> None:
        """Remember."""
        self.told.append((doing, done, total, unit))


def get(server: Server, target: Path, **more: Any) -> Path:
    return fetch([server.url], target, stall_seconds=STALL, **more)


def complete(target: Path, content: bytes = CONTENT) -> None:
    """Assert that the file is whole and nothing else is left of it."""
    assert target.read_bytes() == content
    left = {place.name for place in target.parent.iterdir()}
    assert left <= {target.name, f".{target.name}.lock"}, left


def refused(server: Server, target: Path, *words: str) -> str:
    """Assert that the download ends in a sentence with these words, and no file."""
    with pytest.raises(DataError) as caught:
        get(server, target)
    message = str(caught.value)
    for word in (target.name, "could not be downloaded", server.url, "--data-dir", *words):
        assert word in message, f"{word!r} is not in {message!r}"
    assert "\n" not in message
    assert not target.exists()
    return message


# ---- what works ----------------------------------------------------------------------------------


def test_a_file_arrives_whole_and_progress_tells_the_truth(server: Server, target: Path) -> None:
    """Prevents: a bar that goes backwards, passes the whole, or stops before the end."""
    watch = Watch()
    assert get(server, target, progress=watch) == target
    complete(target)
    done = [step[1] for step in watch.told]
    assert done[0] == 0 and done == sorted(done) and done[-1] == len(CONTENT)
    assert {(doing, total, unit) for doing, _, total, unit in watch.told} == {
        ("downloading file.bin", len(CONTENT), "bytes")
    }


def test_a_file_that_is_here_is_not_asked_for(server: Server, target: Path) -> None:
    """Prevents: a download of what is here, or its loss."""
    target.parent.mkdir()
    target.write_bytes(b"mine")
    get(server, target)
    complete(target, b"mine")
    assert not server.asked


def test_a_short_body_is_resumed_with_the_missing_bytes_only(server: Server, target: Path) -> None:
    """Prevents: gigabytes sent twice, or bytes doubled or lost at the seam."""
    server.script = [cut(100_000), cut(50_000)]
    watch = Watch()
    get(server, target, progress=watch)
    complete(target)
    assert [asked.headers.get("Range") for asked in server.asked] == [
        None,
        "bytes=100000-",
        "bytes=150000-",
    ]
    assert [asked.sent for asked in server.asked] == [100_000, 50_000, 150_000]
    assert all(asked.headers["If-Range"] == '"one"' for asked in server.asked[1:])
    done = [step[1] for step in watch.told]
    assert done == sorted(done) and done[-1] == len(CONTENT)
    assert {step[2] for step in watch.told} == {len(CONTENT)}


def test_what_a_failed_download_kept_is_used_by_the_next(server: Server, target: Path) -> None:
    """Prevents: starting at zero on a line that breaks every few minutes."""
    server.script = [cut(70_000), status(503), status(503)]
    refused(server, target, "HTTP 503", "kept and continued")
    get(server, target)
    complete(target)
    assert server.asked[-1].sent == len(CONTENT) - 70_000


@pytest.mark.parametrize("weak", [False, True], ids=["strong tag", "weak tag"])
def test_a_file_that_changed_meanwhile_is_fetched_afresh(
    weak: bool, server: Server, target: Path
) -> None:
    """Prevents: the first half of one file and the second half of another under one name."""
    prefix = "W/" if weak else ""
    server.tag = prefix + '"one"'
    server.script = [cut(100_000), status(500), status(500)]
    refused(server, target, "HTTP 500")
    server.content, server.tag = OTHER, prefix + '"two"'
    get(server, target)
    complete(target, OTHER)
    assert server.asked[-1].sent == len(OTHER)
    assert ("Range" in server.asked[-1].headers) is not weak


def test_a_file_of_another_address_is_not_continued(server: Server, target: Path) -> None:
    """Prevents: two mirrors' different files glued together because their tags are equal."""
    server.script = [cut(100_000), status(404)]
    refused(server, target, "HTTP 404")
    server.content = OTHER
    fetch([server.url.replace("file.bin", "other.bin")], target, stall_seconds=STALL)
    complete(target, OTHER)
    assert "Range" not in server.asked[-1].headers


def test_another_piece_than_asked_for_is_not_glued_on(server: Server, target: Path) -> None:
    """Prevents: a proxy's wrong piece in the middle of a file that then has the right size."""
    server.script = [cut(100_000), other_piece]
    get(server, target)
    complete(target)
    assert [asked.headers.get("Range") for asked in server.asked] == [None, "bytes=100000-", None]


def test_a_redirect_is_followed_with_the_range(server: Server, target: Path) -> None:
    """Prevents: hosts that hand out signed addresses (the second mirror) that cannot be resumed."""
    server.script = [redirect("/moved"), cut(100_000), redirect("/moved")]
    get(server, target)
    complete(target)
    assert [asked.path for asked in server.asked] == ["/file.bin", "/moved"] * 2
    assert server.asked[-1].sent == len(CONTENT) - 100_000


@pytest.mark.parametrize("trouble", [status(500), status(503), stall, silence, reset, garbage])
def test_a_passing_trouble_is_tried_again(trouble: Behave, server: Server, target: Path) -> None:
    """Prevents: a night's work that ends at one hiccup of a server."""
    server.script = [trouble]
    get(server, target)
    complete(target)


def test_the_second_mirror_serves_when_the_first_does_not(server: Server, target: Path) -> None:
    """Prevents: one dead host, of two, that keeps everybody from the data."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}/file.bin"
        fetch([dead, server.url], target, stall_seconds=STALL)
    complete(target)


def test_a_mirror_that_sends_something_else_is_passed_over(server: Server, target: Path) -> None:
    """Prevents: a login page kept as the file, while the next mirror has the real one."""
    server.script = [html]
    urls = [server.url + "?first", server.url]
    fetch(urls, target, what_is_wrong=lambda file: "no" if file.stat().st_size < 99 else "")
    complete(target)


def test_a_part_that_is_complete_gets_its_name(server: Server, target: Path) -> None:
    """Prevents: a kill just before the renaming, after which every try ends in HTTP 416."""
    server.script = [cut(0), status(404)]
    refused(server, target)
    target.with_name("file.bin.part").write_bytes(CONTENT)
    get(server, target)
    complete(target)
    assert server.asked[-1].sent == 0


def test_a_part_that_is_longer_than_the_file_is_dropped(server: Server, target: Path) -> None:
    """Prevents: a spoilt part that makes every further try fail with HTTP 416."""
    server.script = [cut(0), status(404)]
    refused(server, target)
    target.with_name("file.bin.part").write_bytes(CONTENT + b"more")
    get(server, target)
    complete(target)


@pytest.mark.parametrize("about", ["", "null", "[]", "{}", '{"url": 3, "validator": 4}', "\0"])
def test_a_part_of_which_nothing_is_known_is_not_trusted(
    about: str, server: Server, target: Path
) -> None:
    """Prevents: bytes of unknown origin as the beginning of a file."""
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(b"?" * 1000)
    target.with_name("file.bin.part.json").write_text(about)
    get(server, target)
    complete(target)


# ---- what does not -------------------------------------------------------------------------------

TROUBLES: dict[str, tuple[list[Behave], tuple[str, ...], int]] = {
    "403": ([status(403)], ("HTTP 403 Forbidden",), 1),
    "404": ([status(404)], ("HTTP 404 Not Found",), 1),
    "410": ([status(410)], ("HTTP 410",), 1),
    "500 for ever": ([status(500)] * 9, ("HTTP 500",), 3),
    "a redirect to itself": ([redirect("/file.bin")] * 99, ("HTTP 302", "infinite loop"), 11),
    "a redirect to another scheme": ([redirect("file:///etc/passwd")] * 9, ("HTTP 302",), 1),
    "a redirect to no address": ([redirect("http://[::1")] * 9, ("no usable address",), 1),
    "silence": ([silence] * 9, (f"no answer for {STALL:g} seconds",), 3),
    "a stall": ([stall] * 9, (f"no answer for {STALL:g} seconds", "kept and continued"), 3),
    "a short body": (
        [cut(1000)] * 9,
        ("3,000 of 300,000 bytes arrived, then the connection ended", "kept and continued"),
        3,
    ),
    "a reset": ([reset] * 9, ("the connection broke", "reset"), 3),
    "no length": ([no_length], ("does not say how much",), 1),
    "a strange length": ([strange_length], ("does not say how much",), 1),
    "nothing": ([empty], ("sends nothing",), 1),
    "another protocol": ([garbage] * 9, ("the connection broke", "BadStatusLine"), 3),
}


@pytest.mark.parametrize("what", TROUBLES)
def test_a_lasting_trouble_ends_in_a_sentence(what: str, server: Server, target: Path) -> None:
    """Prevents: a traceback of urllib, a hang, or half a file under the final name."""
    script, words, requests = TROUBLES[what]
    server.script = list(script)
    refused(server, target, *words)
    if what != "a redirect to itself":  # urllib decides how often it follows
        assert len(server.asked) == requests


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1/file.bin", ("no connection", "refused")),
        ("http://no-such-host.invalid/file.bin", ("no connection", "not known")),
        ("http://" + "a" * 70 + ".invalid/file.bin", ("http://aaaa",)),
        ("http://127.0.0.1:port/file.bin", ("nonnumeric port",)),
        ("http://[::1/file.bin", ("no usable address",)),
        ("http:///file.bin", ("no host given",)),
        ("nonsense", ("no usable address", "unknown url type")),
    ],
)
def test_an_address_that_is_none_ends_in_a_sentence(
    url: str, words: tuple[str, ...], target: Path
) -> None:
    """Prevents: the traceback of a mistyped address."""
    with pytest.raises(DataError) as caught:
        fetch([url], target, stall_seconds=STALL)
    for word in ("file.bin could not be downloaded", *words):
        assert word in str(caught.value)


def test_every_mirrors_failure_is_said(server: Server, target: Path) -> None:
    """Prevents: hunting for the wrong cause because only the last mirror's is shown."""
    server.script = [status(403), status(404)]
    urls = [server.url + "?first", server.url + "?second"]
    with pytest.raises(DataError, match=r"\?first: HTTP 403.*\?second: HTTP 404"):
        fetch(urls, target)


@pytest.mark.parametrize(
    "error", [ssl.SSLError(1, "bad record mac"), OSError(113, "No route to host")]
)
def test_an_error_of_the_network_is_not_taken_for_the_disks(
    error: OSError, server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: `change its permissions` for a broken TLS record: its number is EPERM's."""
    whole = HTTPResponse.read1

    def read1(self: HTTPResponse, size: int = -1) -> bytes:
        if len(server.asked) < 2:
            raise error
        return whole(self, size)

    monkeypatch.setattr(HTTPResponse, "read1", read1)
    get(server, target)
    complete(target)
    assert len(server.asked) == 2


def test_a_full_disk_keeps_what_came_and_says_so(server: Server, target: Path) -> None:
    """Prevents: a full disk that looks like a bad server, or that costs what was received."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(DataError, match=r"No room left while downloading at .*Free some space"):
            get(server, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not target.exists()
    get(server, target)
    complete(target)
    assert server.asked[-1].sent == len(CONTENT) - 100_000


# ---- several at once, and a kill -----------------------------------------------------------------

FETCH = "import sys; from pathlib import Path; from seqrl.data.download import fetch; "
FETCH += "fetch([sys.argv[1]], Path(sys.argv[2]), stall_seconds=20)"


def start(server: Server, target: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, server.url, str(target)],
        env=environment,
        stderr=subprocess.PIPE,
    )


def until(true: Callable[[], object]) -> None:
    """Wait, but not for ever."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def slowly(handler: Handler) -> None:
    """Send a third, then the rest when the test says so."""
    handler.head(200, Content_Length=len(CONTENT), ETag=handler.server.tag)
    handler.body(CONTENT[:100_000])
    handler.wfile.flush()
    handler.server.go_on.wait(30)
    handler.body(CONTENT[100_000:])


def test_processes_that_want_the_same_file_download_it_once(server: Server, target: Path) -> None:
    """Prevents: twenty workers of one experiment that each fetch a gigabyte, into one file."""
    server.script = [slowly]
    processes = [start(server, target) for _ in range(3)]
    until(lambda: server.asked)
    time.sleep(0.5)  # the others come to the lock
    assert not target.exists()
    server.go_on.set()
    assert [process.communicate(timeout=60)[1] for process in processes] == [b""] * 3
    assert [process.returncode for process in processes] == [0] * 3
    complete(target)
    assert len(server.asked) == 1


def test_a_killed_download_goes_on_where_it_was(server: Server, target: Path) -> None:
    """Prevents: half a file under the final name after a kill, or a start from zero."""
    server.script = [slowly]
    killed = start(server, target)
    part = target.with_name("file.bin.part")
    until(lambda: part.exists() and part.stat().st_size)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    have = part.stat().st_size
    assert not target.exists() and 0 < have <= 100_000
    get(server, target)
    complete(target)
    assert server.asked[-1].sent == len(CONTENT) - have


# ---- through the command line --------------------------------------------------------------------

OFFICIAL = "d4rl/hopper-full-replay-v2"


@pytest.fixture
def official(server: Server, tmp_path: Path) -> Server:
    """The server has an official file."""
    server.content = write_hdf5(tmp_path / "upstream.hdf5", layout()).read_bytes()
    return server


def mirror(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/"


def test_fetch_takes_the_file_from_a_mirror(
    official: Server, seqrl: Callable[..., Ended], home: Path
) -> None:
    """Prevents: a mirror's address put together wrongly."""
    ended = seqrl("data", "fetch", OFFICIAL, "--mirror", mirror(official), "--json")
    assert ended.status == 0, ended
    assert json.loads(ended.out)["episodes"] == 3
    assert [asked.path for asked in official.asked] == ["/hopper_full_replay-v2.hdf5"]
    assert (home / "files" / "hopper_full_replay-v2.hdf5").read_bytes() == official.content


def truncated(handler: Handler) -> None:
    """Send, as a whole, a file that is none."""
    half = handler.server.content[: len(handler.server.content) // 2]
    handler.head(200, Content_Length=len(half), ETag='"half"')
    handler.body(half)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (html, ("what was sent is neither HDF5 nor .npz", "web page")),
        (truncated, ("what was sent cannot be opened", "truncated file")),
        (status(403), ("HTTP 403",)),
        (status(404), ("HTTP 404",)),
    ],
    ids=["html", "truncated", "403", "404"],
)
def test_fetch_of_something_else_is_told_and_leaves_nothing(
    trouble: Behave,
    words: tuple[str, ...],
    official: Server,
    seqrl: Callable[..., Ended],
    home: Path,
) -> None:
    """Prevents: a login page that is taken for the official file from then on."""
    official.script = [trouble]
    ended = seqrl("data", "fetch", OFFICIAL, "--mirror", mirror(official))
    assert ended.status == 2 and "Traceback" not in ended.err
    for word in ("hopper_full_replay-v2.hdf5 could not be downloaded", mirror(official), *words):
        assert word in ended.err
    assert {place.name for place in (home / "files").iterdir()} == {
        ".hopper_full_replay-v2.hdf5.lock"
    }
    assert look_up(OFFICIAL) is None
    assert seqrl("data", "fetch", OFFICIAL, "--mirror", mirror(official)).status == 0


def test_fetch_asks_a_host_only_once_for_what_it_has(
    official: Server, seqrl: Callable[..., Ended]
) -> None:
    """Prevents: a download at every start of an experiment."""
    for _ in range(2):
        assert seqrl("data", "fetch", OFFICIAL, "--mirror", mirror(official)).status == 0
    assert len(official.asked) == 1


def test_no_test_here_leaves_this_machine() -> None:
    """Prevents: a test that passes only where there is a network."""
    with pytest.raises(OSError, match="not known"):
        urllib.request.urlopen("http://example.org/", timeout=5)


def test_a_download_that_is_not_the_official_set_is_dropped(
    official: Server, seqrl: Callable[..., Ended], home: Path
) -> None:
    """Prevents: a mirror's wrong file that is found, and refused, for ever after."""
    ended = seqrl("data", "fetch", "d4rl/hopper-medium-v2", "--mirror", mirror(official))
    assert ended.status == 2 and "What was downloaded is deleted again" in ended.err
    assert not (home / "files" / "hopper_medium-v2.hdf5").exists()


def test_a_good_download_stays_when_preparing_it_fails(
    official: Server,
    seqrl: Callable[..., Ended],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Prevents: hundreds of megabytes thrown away because the disk was full a moment later."""
    usage = shutil.disk_usage(home.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=10))
    ended = seqrl("data", "fetch", OFFICIAL, "--mirror", mirror(official))
    assert ended.status == 2 and "No room left" in ended.err
    assert (home / "files" / "hopper_full_replay-v2.hdf5").read_bytes() == official.content
