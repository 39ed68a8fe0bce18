"""What this machine has and lacks, as plain data. Never fails: what cannot be found out is said
instead."""

import platform
import shutil
import tempfile
import threading
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from seqrl.data.cache import everything, home
from seqrl.data.d4rl import find_file
from seqrl.data.download import answers
from seqrl.data.recording import cores
from seqrl.errors import SeqrlError
from seqrl.tasks.d4rl import ENTRIES, MIRRORS
from seqrl.tasks.environment import Environments

PACKAGES = ("torch", "gymnasium", "mujoco", "numpy", "h5py", "ray", "safetensors")
EXTRAS = {
    "minari": "minari",
    "robotics": "gymnasium-robotics",
    "hub": "huggingface_hub",
    "tensorboard": "tensorboard",
    "video": "imageio-ffmpeg",
    "behaviours": "sbx-rl",
}
HOST_SECONDS = 3.0
ROOM_FOR_A_SET = 1_000_000_000
"""Bytes that building one embedded set takes at most, for a moment."""


def examine() -> dict[str, Any]:
    """Look at everything; `problems` says what keeps this machine from a benchmark."""
    hosts = _hosts()  # asked in the background while the rest is looked at
    folder = home()
    packages = {name: _version(name) for name in PACKAGES}
    problems = [f"{name} is not installed" for name, found in packages.items() if not found]
    problems += _simulator_problems()
    room = _room(folder)
    if room["problem"]:
        problems.append(room["problem"])
    return {
        "seqrl": _version("seqrl"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "extras": {extra: _version(package) for extra, package in EXTRAS.items()},
        "device": _device(),
        "cache_folder": str(folder),
        "free_bytes": room["free"],
        "data": [known.name for known in _prepared()],
        "official_files": [name for name, entry in ENTRIES.items() if find_file(entry)],
        "hosts": hosts.results(),
        "problems": problems,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _device() -> dict[str, Any]:
    try:
        import torch
    except ImportError:
        return {"kind": "unknown: torch is not installed", "cores": cores()}
    if torch.cuda.is_available():
        return {
            "kind": torch.cuda.get_device_name(0),
            "count": torch.cuda.device_count(),
            "memory_bytes": torch.cuda.get_device_properties(0).total_memory,
            "cores": cores(),
            "threads": torch.get_num_threads(),
            "bf16": torch.cuda.is_bf16_supported(including_emulation=False),
        }
    return {
        "kind": "CPU",
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "bf16": torch.cpu._is_avx512_bf16_supported(),
    }


def _simulator_problems() -> list[str]:
    """Play one step: an import alone does not prove that MuJoCo works."""
    import numpy as np

    task = ENTRIES["d4rl/hopper-medium-v2"].task
    try:
        environments = Environments(task, 1)
        environments.start([0])
        environments.step(np.zeros((1, task.action_width), np.float32))
    except (ImportError, OSError, SeqrlError, RuntimeError) as error:
        return [f"the simulator does not run: {error}"]
    return []


def _room(folder: Path) -> dict[str, Any]:
    """Find the free disk, and whether something can be written there."""
    existing = next(place for place in [folder, *folder.parents] if place.exists())
    free = shutil.disk_usage(existing).free
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError:
        return {
            "free": free,
            "problem": f"{folder} cannot be written; set SEQRL_HOME to another folder",
        }
    if free < ROOM_FOR_A_SET:
        problem = (
            f"{folder} has {free / 1e6:,.0f} MB free; a data set takes up to 1,000 MB to build"
        )
        return {"free": free, "problem": problem}
    return {"free": free, "problem": ""}


def _prepared() -> list[Any]:
    try:
        return everything()
    except SeqrlError:
        return []


class _hosts:
    """Ask the data hosts in the background: resolving a name may take longer than we wait."""

    def __init__(self) -> None:
        self._said = dict.fromkeys(MIRRORS, f"no answer within {HOST_SECONDS:g} seconds")
        self._threads = [
            threading.Thread(target=self._ask, args=(url,), daemon=True) for url in MIRRORS
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, url: str) -> None:
        self._said[url] = answers(url, HOST_SECONDS) or "answers"

    def results(self) -> dict[str, str]:
        """Return what each host said, waiting no longer than agreed."""
        for thread in self._threads:
            thread.join(HOST_SECONDS)
        return {urlsplit(url).netloc: said for url, said in self._said.items()}
