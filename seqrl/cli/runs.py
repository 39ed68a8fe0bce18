"""`seqrl runs`: what has been run, what one run was, and what two of them differ in."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqrl.cli.output import one_decimal, remark, say, say_json, say_table
from seqrl.cli.reading import AGENT, CHANGED, EXPERIMENT, SEED, TASK
from seqrl.cli.run import RESULTS
from seqrl.cli.tasks import JSON
from seqrl.progress import counted

if TYPE_CHECKING:
    from seqrl.runs.record import RunRecord
    from seqrl.runs.records import Found, Records
    from seqrl.runs.unfinished import Unfinished

HEAD = (
    *("experiment", "agent", "task", "seed", "status", "score", "minutes", "written (UTC)"),
    "hash",
)


def runs(
    named: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RECORD or HASH]...",
            help="One: explain it. Two: say what they differ in. A record's file, or the first "
            "letters of its hash.",
        ),
    ] = None,
    results: RESULTS = Path("results"),
    experiment: EXPERIMENT = None,
    task: TASK = None,
    agent: AGENT = None,
    changed: CHANGED = None,
    seed: SEED = None,
    status: Annotated[str | None, typer.Option(help="Only this: done or failed.")] = None,
    as_json: JSON = False,
) -> None:
    """List all runs below a results folder; explain one; or say what two of them differ in, and so
    why the second was run at all.

    seqrl runs --agent DT --status failed

    seqrl runs 2db81119 c7433a70 --results elsewhere
    """
    from seqrl.errors import SeqrlError
    from seqrl.runs.contradiction import contradiction
    from seqrl.runs.finding import is_file, record_at, records_below
    from seqrl.runs.unfinished import unfinished

    texts = named or []
    if len(texts) > 2:
        raise SeqrlError(f"Name one record or two, not {len(texts)}; without any, all are listed.")
    others = [text for text in texts if not is_file(Path(text))]
    for text in others:
        if Path(text).is_dir():
            raise SeqrlError(f"{text} is a folder; `seqrl runs --results {text}` lists its runs.")
    there = None
    if not texts or others:
        there = records_below(results).matching(
            experiment=experiment, task=task, agent=agent, changed=changed, seed=seed, status=status
        )
    chosen = [record_at(text, there) for text in texts]
    for one in chosen:
        if why := contradiction(one.record):
            remark(f"{one.file} contradicts itself: {why}. No table counts it.")
    if len(chosen) == 1:
        _explain(chosen[0], as_json)
    elif chosen:
        _tell_apart(chosen[0], chosen[1], as_json)
    else:
        assert there is not None
        _list(there, unfinished(results), results, as_json)


# ---- all -----------------------------------------------------------------------------------------


def _list(there: "Records", begun: "Unfinished | None", results: Path, as_json: bool) -> None:
    if as_json:
        say_json(
            {
                "runs": [{"file": str(one.file), **asdict(one.record)} for one in there.found],
                "unread": [{"file": str(one.file), "why": one.why} for one in there.unread],
                "unfinished": {**asdict(begun), "folder": str(begun.folder)} if begun else None,
            }
        )
        return
    if there.found:
        say_table(HEAD, [_line(one.record) for one in there.found], right=(3, 5, 6))
    else:
        say(f"There are no runs below {results} yet.")
    if there.unread:
        first, more = there.unread[0].why, len(there.unread) - 1
        rest = f" And {more} more, which --json names." if more else ""
        remark(f"{counted(more + 1, 'file')} cannot be counted. {first}{rest}")
    if begun:
        remark(
            f"{counted(len(begun.hashes), 'unfinished run')} below {begun.folder}, "
            f"{begun.bytes / 1e6:,.1f} MB, last touched {_short(begun.touched)} (UTC); the command "
            "that began one goes on with it."
        )


def _line(record: "RunRecord") -> list[str]:
    from seqrl.runs.record import PROTOCOL

    protocol = record.identity["protocol"]
    return [
        record.experiment,
        record.name,
        record.task["name"],
        str(record.seed),
        record.status + (f", protocol {protocol}" if protocol != PROTOCOL else ""),
        "-" if record.score is None else one_decimal(record.score),
        _minutes(record),
        _short(record.written),
        record.hash[:8],
    ]


def _minutes(record: "RunRecord") -> str:
    training, playing = record.training.get("seconds"), record.playing_seconds
    if training is None:
        return "-"
    # What was killed while it played took longer; nobody knows by how much.
    return one_decimal((training + (playing or 0)) / 60) + ("" if playing is not None else "+")


def _short(time: str) -> str:
    return time[:16].replace("T", " ")


# ---- one -----------------------------------------------------------------------------------------


def _explain(found: "Found", as_json: bool) -> None:
    from seqrl.runs.explained import explained

    content = explained(found)
    if as_json:
        say_json(content)
        return
    record = found.record
    say(f"{record.name} on {record.task['name']}, seed {record.seed}: {record.status}")
    say(f"  {content['caption']}")
    say(f"  hash {record.hash}, written {_short(record.written)} (UTC)")
    _say_settings(content)
    data = record.data
    because = f"; {reason}" if (reason := data.get("chosen_because")) else ""
    mean = data["mean_return"] if data["mean_score"] is None else data["mean_score"]
    kind = "return" if data["mean_score"] is None else "score"
    say(f"Data: {data['name']}, fingerprint {data['fingerprint']}{because}")
    say(f"  its own mean {kind} is {one_decimal(mean)}")
    if content["spread"]:
        _say_spread(content["spread"])
    _say_time(record)
    say(f"Record      {content['file']}")
    if checkpoint := content["checkpoint"]:
        say(f"Checkpoint  {checkpoint['file']} ({checkpoint['state']})")
    metrics = content["metrics"]
    if checkpoint or metrics["there"]:
        say(f"Metrics     {metrics['file']} ({'there' if metrics['there'] else 'missing'})")
    if record.error:
        say(f"It failed:\n{record.error.rstrip()}")


def _say_settings(content: dict[str, Any]) -> None:
    kind = content["record"]["agent"]["is"].rpartition(":")[2]
    settings = content["settings"]
    if settings is None:
        say(
            f"Settings: the defaults of {kind} cannot be had here ({content['settings_unknown']}); "
            "all fields are in the record."
        )
    elif not settings:
        say(f"Settings: the defaults of {kind}")
    else:
        say(f"Settings that are not the defaults of {kind} here:")
        rows = [[one["field"], str(one["value"]), str(one["default"])] for one in settings]
        say_table(["  field", "value", "default"], [[f"  {a}", b, c] for a, b, c in rows])


def _say_spread(spread: dict[str, Any]) -> None:
    def with_deviation(what: str) -> str:
        deviation = spread[f"{what}_deviation"]
        return one_decimal(spread[what]) + (
            "" if deviation is None else f" ± {one_decimal(deviation)}"
        )

    score = "" if spread["score"] is None else f"Score {with_deviation('score')}, "
    say(
        f"{score or ''}{'return' if score else 'Return'} {with_deviation('return')}: mean and "
        f"standard deviation of {counted(spread['episodes'], 'episode')}, from "
        f"{one_decimal(spread['least_return'])} to {one_decimal(spread['most_return'])}"
    )


def _say_time(record: "RunRecord") -> None:
    if not record.training:
        return
    seconds, playing = record.training["seconds"], record.playing_seconds
    rate = record.training["updates_per_second"]
    played = "was interrupted" if playing is None else f"{one_decimal(playing / 60)} minutes"
    machine = ", ".join(f"{name} {value}" for name, value in record.machine.items() if value)
    say(
        f"Time: training {one_decimal(seconds / 60)} minutes ({one_decimal(rate)} updates a "
        f"second), playing {played}; {machine}"
    )


# ---- two -----------------------------------------------------------------------------------------


def _tell_apart(first: "Found", second: "Found", as_json: bool) -> None:
    from seqrl.runs.explained import told_apart

    content = told_apart(first, second)
    if as_json:
        say_json(content)
        return
    for name, found in (("A", first), ("B", second)):
        say(f"{name}: {found}")
    rows = [
        [
            one["field"],
            str(one["first"]),
            str(one["second"]),
            "yes" if one["in_hash"] else "no",
        ]
        for one in content["differences"]
    ]
    if rows:
        say_table(["field", "A", "B", "in the hash"], rows)
    hashed = sum(row[-1] == "yes" for row in rows)
    say(_verdict(first.record.hash == second.record.hash, hashed))


def _verdict(same: bool, hashed: int) -> str:
    if same and not hashed:
        return "One hash: they are one run, done twice; in one folder it would not be run again."
    if same:
        return "One hash, yet settings differ that it covers: one of the files was changed by hand."
    if not hashed:
        return (
            "Two hashes, yet nothing differs that they cover: one of the files was changed by hand."
        )
    fields = "1 field differs" if hashed == 1 else f"{hashed} fields differ"
    return f"Two runs: {fields} that the hash covers."
