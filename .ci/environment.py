"""Make a virtual environment with pip, also where Debian's python3 comes without ensurepip.

usage: environment.py FOLDER. An environment that is already there is kept.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
import venv
from pathlib import Path

MINIMUM = (3, 11)


def main() -> None:
    """Make FOLDER an environment whose python can run pip."""
    if sys.version_info < MINIMUM:
        sys.exit(f"seqrl needs Python {MINIMUM[0]}.{MINIMUM[1]} or newer, this is {sys.version}")
    folder = Path(sys.argv[1])
    python = folder / "bin" / "python"
    if _has_pip(python):
        return
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        venv.create(folder, clear=True, with_pip=False)
        _install_pip(python)
    else:
        venv.create(folder, clear=True, with_pip=True)


def _has_pip(python: Path) -> bool:
    return (
        python.exists()
        and subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0
    )


def _install_pip(python: Path) -> None:
    """Take pip's wheel from the package index; a wheel can install itself."""
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
    accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
    with urllib.request.urlopen(urllib.request.Request(f"{index}/pip/", headers=accept)) as answer:
        files = json.load(answer)["files"]
    wheel = [
        file for file in files if file["filename"].endswith(".whl") and not file.get("yanked")
    ][-1]
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / wheel["filename"]
        with urllib.request.urlopen(wheel["url"]) as answer:
            local.write_bytes(answer.read())
        subprocess.run(
            [python, f"{local}/pip", "install", "--quiet", "--no-index", local], check=True
        )


main()
