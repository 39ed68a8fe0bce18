"""Make a virtual environment with pip, also where Debian's python3 comes without ensurepip.

usage: environment.py FOLDER. An environment that is already there is kept.
"""

import os
import re
import subprocess
import sys
import tempfile
import urllib.parse
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
    """Take pip's newest wheel from the package index; a wheel can install itself."""
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/pip/"
    with urllib.request.urlopen(index) as answer:
        links = re.findall(
            r'href="([^"]+/(pip-([0-9.]+)-py3-none-any\.whl)[^"]*)"', answer.read().decode()
        )
    link, name, _ = max(links, key=lambda found: [int(part) for part in found[2].split(".")])
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(folder) / name
        with urllib.request.urlopen(urllib.parse.urljoin(index, link)) as answer:
            wheel.write_bytes(answer.read())
        command = [python, f"{wheel}/pip", "install", "--quiet", "--no-index", wheel]
        subprocess.run(command, check=True)


main()
