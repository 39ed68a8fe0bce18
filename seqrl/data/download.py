"""Fetching one file over HTTP: mirrors in order, resumed where it broke off, never half under its
name.

Knows nothing of what is in the file.
"""

import http.client
import json
import logging
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from email.message import Message
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from seqrl.data.whole import replace_file
from seqrl.errors import DataError, told_plainly
from seqrl.progress import Progress, silent

STALL_SECONDS = 20.0
"""A connection that gives no byte for so long is given up."""

ATTEMPTS = 3
"""Tries per mirror; each goes on where the last one stopped."""

BLOCK = 1 << 20

_log = logging.getLogger(__name__)


class _Broken(Exception):
    """One attempt failed; the message says how. `final`: another attempt would not help."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


def fetch(
    urls: Sequence[str],
    target: Path,
    *,
    what_is_wrong: Callable[[Path], str] = lambda file: "",
    progress: Progress = silent,
    stall_seconds: float = STALL_SECONDS,
) -> Path:
    """Put the file at the first of `urls` that gives it whole under `target`.

    `what_is_wrong` looks at what arrived before it gets its name; unless it says nothing, the file
    is dropped.
    """
    with told_plainly(target, "downloading"):
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if target.exists():  # somebody else fetched it while we waited
                return target
            failures = []
            for url in urls:
                try:
                    _from_mirror(url, target, progress, stall_seconds)
                    _accept(target, what_is_wrong)
                    return target
                except _Broken as broken:
                    _log.info("%s: %s", url, broken)
                    failures.append(f"{url}: {broken}")
    raise DataError(
        f"{target.name} could not be downloaded. "
        + "; ".join(failures)
        + (
            ". What was received is kept and continued by the next try"
            if _unfinished(target)[0].exists()
            else ""
        )
        + f". Or get the file another way and put it into {target.parent}, ~/.d4rl/datasets, "
        "$D4RL_DATASET_DIR or --data-dir."
    )


def _from_mirror(url: str, target: Path, progress: Progress, stall_seconds: float) -> None:
    for attempt in range(ATTEMPTS):
        try:
            return _attempt(url, target, progress, stall_seconds)
        except _Broken as broken:
            if broken.final or attempt == ATTEMPTS - 1:
                raise
            _log.info("%s: %s; trying again", url, broken)
            time.sleep(min(0.2 * 2**attempt, stall_seconds))


def _attempt(url: str, target: Path, progress: Progress, stall_seconds: float) -> None:
    part, about = _unfinished(target)
    have, validator = _resumable(url, part, about)
    headers = {"User-Agent": "seqrl", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    try:
        with _ask(url, headers, stall_seconds) as answer:
            if answer.status != 206:
                have = 0  # the server sends the whole file, or another one than last time
            elif not (answer.headers.get("Content-Range") or "").startswith(f"bytes {have}-"):
                part.unlink()
                raise _Broken("the server sent another piece of the file than was asked for")
            length = answer.length
            if not length:
                raise _Broken("the server sends nothing, or does not say how much", final=True)
            total = have + length
            replace_file(about, json.dumps({"url": url, "validator": _validator(answer.headers)}))
            with part.open("ab" if have else "wb") as file:
                received = _receive(answer, file, have, total, target.name, progress)
            if received != total:
                raise _Broken(f"{received:,} of {total:,} bytes arrived, then the connection ended")
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 416:
            said = (str(error.msg).splitlines() or [""])[0]
            raise _Broken(f"HTTP {error.code} {said}", final=error.code < 500) from error
        # Nothing follows what we have: it is whole (killed before the renaming), or
        # longer than theirs.
        if error.headers.get("Content-Range") != f"bytes */{have}":
            part.unlink(missing_ok=True)
            raise _Broken("what was kept of an earlier try does not fit the file") from error
    except TimeoutError as error:
        raise _Broken(f"no answer for {stall_seconds:g} seconds") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _Broken(f"no answer for {stall_seconds:g} seconds") from error
        raise _Broken(f"no connection ({error.reason})", final=True) from error
    except http.client.HTTPException as error:
        said = (str(error).splitlines() or [""])[0]  # some quote the server
        raise _Broken(f"the connection broke ({type(error).__name__}: {said})") from error
    except ConnectionError as error:
        raise _Broken(f"the connection broke ({error})") from error


def _ask(url: str, headers: dict[str, str], seconds: float) -> http.client.HTTPResponse:
    try:
        request = urllib.request.Request(url, headers=headers)
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=seconds)
        return answer
    except ValueError as error:  # of an address that is none
        raise _Broken(f"no usable address ({error})", final=True) from error


def _accept(target: Path, what_is_wrong: Callable[[Path], str]) -> None:
    """Give what arrived its final name, or drop it."""
    part, about = _unfinished(target)
    if wrong := what_is_wrong(part):
        part.unlink()
        about.unlink(missing_ok=True)
        raise _Broken(f"what was sent {wrong}", final=True)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)
    about.unlink(missing_ok=True)


def _unfinished(target: Path) -> tuple[Path, Path]:
    """Where a file lies while it arrives, and what is known of it."""
    return target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")


def _resumable(url: str, part: Path, about: Path) -> tuple[int, str]:
    """Say how much of the same version of the same file is already here."""
    try:
        known = json.loads(about.read_text())
        if known["url"] == url and known["validator"]:
            return part.stat().st_size, str(known["validator"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass
    return 0, ""


def _validator(headers: Message) -> str:
    """Return what identifies this version of the file: a strong ETag, else its date."""
    tag = headers.get("ETag") or ""
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified") or ""


def _receive(
    answer: http.client.HTTPResponse,
    file: BinaryIO,
    have: int,
    total: int,
    name: str,
    progress: Progress,
) -> int:
    progress(f"downloading {name}", have, total, "bytes")
    while block := _next_block(answer):
        file.write(block)
        have += len(block)
        progress(f"downloading {name}", have, total, "bytes")
    return have


def _next_block(answer: http.client.HTTPResponse) -> bytes:
    """Read what has arrived. The network's errors are not the disk's, though both are `OSError`."""
    try:
        return answer.read1(BLOCK)
    except TimeoutError:
        raise
    except OSError as error:
        raise _Broken(f"the connection broke ({error})") from error


def answers(url: str, seconds: float) -> str:
    """Say whether a host answers: empty if it does, else why not. Never raises."""
    request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "seqrl"})
    try:
        with urllib.request.urlopen(request, timeout=seconds):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return "" if error.code < 500 else f"HTTP {error.code}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        said = str(getattr(error, "reason", error)) or type(error).__name__
        return re.sub(r"^\[Errno -?\d+\] ", "", said)
