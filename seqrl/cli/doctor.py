"""`seqrl doctor`."""

from typing import Any

import typer

from seqrl.cli.output import say, say_json
from seqrl.cli.tasks import JSON


def doctor(as_json: JSON = False) -> None:
    """Show versions, device, disk, data and hosts, and say whether a benchmark can run here.

    Needs no network: an unreachable host is a fact, not a failure. Ends with status 1 if a
    benchmark cannot run.
    """
    from seqrl.doctor import examine

    found = examine()
    if as_json:
        say_json(found)
        raise typer.Exit(1 if found["problems"] else 0)
    say(f"seqrl {found['seqrl']}, Python {found['python']}, {found['platform']}")
    say("packages: " + _listed(found["packages"]))
    say("extras:   " + _listed(found["extras"]))
    say("device:   " + _device(found["device"]))
    say(f"cache:    {found['cache_folder']}, {found['free_bytes'] / 1e9:,.1f} GB free")
    say("data:     " + (", ".join(found["data"]) or "none prepared yet"))
    say("files:    " + (", ".join(found["official_files"]) or "no official D4RL file here"))
    for host, said in found["hosts"].items():
        say(f"host:     {host}: {said}")
    if found["problems"]:
        say("This machine cannot run a benchmark yet:")
        for problem in found["problems"]:
            say(f"  - {problem}")
        raise typer.Exit(1)
    say("This machine can run a benchmark; embedded data needs no network.")


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {found or '(not installed)'}" for name, found in versions.items())


def _device(device: dict[str, Any]) -> str:
    said = [device["kind"]]
    if "memory_bytes" in device:
        said.append(f"{device['memory_bytes'] / 2**30:,.0f} GiB x {device['count']}")
    said.append(f"{device['cores']} cores")
    if "threads" in device:
        said.append(f"{device['threads']} threads")
        said.append("bf16 in hardware" if device["bf16"] else "no bf16 in hardware")
    return ", ".join(said)
