"""Ray nodes on this machine that share no folder: `python -m tests.runs.raylets FOLDER COUNT`.

Node i keeps its data in FOLDER/home-<i>; the head, node 0, has no room for runs. The first line
that is printed is JSON: the address, and the process of every raylet. All end when stdin does.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ |= {
    "RAY_TMPDIR": sys.argv[1],
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_AUTH_MODE": "disabled",
    "SEQRL_TEST_SECONDS": "0.3",
}


def main() -> None:
    """Start them, and wait."""
    from ray.cluster_utils import Cluster

    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    (folder / "ray").mkdir(parents=True)
    cluster = Cluster()
    pids = []
    for number in range(count + 1):
        os.environ["SEQRL_HOME"] = str(folder / f"home-{number}")
        given: dict[str, Any] = {"num_cpus": 1 if number else 0, "include_dashboard": False}
        if not number:
            given["temp_dir"] = str(folder)
        node = cluster.add_node(**given)
        pids.append(node.all_processes["raylet"][0].process.pid)
    sys.stdout.write(json.dumps({"address": cluster.address, "raylets": pids}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
