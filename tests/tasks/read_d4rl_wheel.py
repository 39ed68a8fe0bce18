"""Read every URL and reference return out of the d4rl 1.1 package, into a fixture beside this.

usage: python tests/tasks/read_d4rl_wheel.py   (needs the package index)

The package itself cannot be imported without mujoco-py; its `infos.py` holds plain tables and can.
"""

import json
import runpy
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

FIXTURE = Path(__file__).with_name("d4rl_1.1_infos.json")


def main() -> None:
    """Download the wheel, run its table file alone, write what it holds."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "d4rl==1.1"],
            cwd=folder,
            check=True,
        )
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as files:
            infos = runpy.run_path(files.extract("d4rl/infos.py", folder))
    found = {
        "source": "d4rl 1.1, d4rl/infos.py",
        "urls": infos["DATASET_URLS"],
        "minimum": infos["REF_MIN_SCORE"],
        "maximum": infos["REF_MAX_SCORE"],
    }
    FIXTURE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
