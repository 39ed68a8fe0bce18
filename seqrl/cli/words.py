"""What `seqrl data` says of a data set: the same facts as its JSON, in words and tables."""

from typing import TYPE_CHECKING, Any

from seqrl.cli.output import one_decimal, remark, say, say_json, say_table

if TYPE_CHECKING:
    from seqrl.data.cache import Prepared
    from seqrl.data.physics import Errors, Verdict


def say_prepared(known: "Prepared", as_json: bool) -> None:
    """Say what has just been prepared."""
    from seqrl.data.cache import open_prepared
    from seqrl.data.statistics import describe

    content = describe(known, open_prepared(known))
    if as_json:
        say_json(content)
        return
    say_head(content)
    _say_notes(content)
    say(f"More: seqrl data info {known.name}")


def say_head(content: dict[str, Any]) -> None:
    """Say what matters most of a data set."""
    say(content["name"])
    if "UNVERIFIED" in content["provenance"]["kind"]:
        remark(f"{content['name']} is a {content['provenance']['kind']}.")
    if content["why_local"]:
        remark(f"this is not {content['name'].partition('+')[0]}: {content['why_local']}.")
    say(
        f"  {content['episodes']:,} episodes, {content['steps']:,} steps"
        + (
            f" ({content['collected_steps']:,} collected; the last {content['cut_off_steps']:,} "
            "are a cut-off episode, "
            + ("kept without its last transition)" if "+tail" in content["name"] else "dropped)")
            if content["cut_off_steps"]
            else ""
        )
    )
    say(f"  return {_spread(content['return'])}")
    if content["score"]:
        say(f"  score  {_spread(content['score'])}")
    say(f"  fingerprint {content['fingerprint']}")


def _spread(values: dict[str, Any]) -> str:
    return (
        f"mean {one_decimal(values['mean'])}, std {one_decimal(values['std'])}, "
        f"min {one_decimal(values['min'])}, max {one_decimal(values['max'])}"
    )


def say_info(content: dict[str, Any]) -> None:
    """Say everything of a data set."""
    say_head(content)
    for what in ("return", "length"):
        quantiles = content[what]["quantiles"]
        said = ", ".join(f"{float(q):.0%} {value:,.0f}" for q, value in quantiles.items())
        say(f"  {what} quantiles: {said}")
    ends = content["ends"]
    said = f"{ends['terminated']:,} terminated, {ends['timed_out']:,} timed out"
    say(f"  episodes end: {said}" + (f", {ends['cut_off']:,} cut off" if ends["cut_off"] else ""))
    reference = content["reference"]
    scale = (
        f"score 0 is a return of {reference['minimum']:g}, 100 is {reference['maximum']:g} "
        f"({reference['source']})"
        if reference
        else "no reference returns, so no scores"
    )
    say(f"  environment {content['environment']}, horizon {content['horizon']:,}; {scale}")
    say("  columns: " + ", ".join(f"{name} {kind}" for name, kind in content["columns"].items()))
    _say_notes(content)
    _say_provenance(content["provenance"])
    say_beside_official(content)


def _say_notes(content: dict[str, Any]) -> None:
    for note in content["provenance"].get("notes", []):
        say(f"  note: {note}")
    if content["longest_beyond_horizon"]:
        say(
            f"  note: {content['longest_beyond_horizon']:,} episodes are longer than the task's "
            f"horizon of {content['horizon']:,} steps"
        )


def _say_provenance(provenance: dict[str, Any]) -> None:
    say(f"  provenance: {provenance['kind']}")
    for key, value in provenance.items():
        if key in ("kind", "notes"):
            continue
        if key == "policies":
            for policy in value:
                sha = f", sha256 {policy['sha256'][:12]}" if "sha256" in policy else ""
                say(f"    {policy['steps']:,} steps by {policy['actor']}{sha}")
        elif isinstance(value, dict):
            say(f"    {key}: " + ", ".join(f"{k} {v}" for k, v in value.items()))
        else:
            say(f"    {key.replace('_', ' ')}: {value}")


def say_beside_official(content: dict[str, Any]) -> None:
    """Set a data set beside what is published of the official one."""
    official = content["official"]
    if official is None:
        return
    same = official["name"] == content["name"].partition("+")[0]
    say()
    if not official["facts"]:
        say(f"Nothing is published here of the content of {official['name']}.")
        return
    facts = official["facts"]
    say(
        "Published of this set:"
        if same
        else f"NOT D4RL data. The official set of this quality, {official['name']}, for comparison:"
    )
    say_table(
        ["", "episodes", "steps", "length", "return mean", "std", "min", "max", "score"],
        [_row("this set", content), _row("published", facts)],
        right=range(1, 9),
    )
    say(f"(source: {facts['source']})")


def _row(title: str, content: dict[str, Any]) -> list[str]:
    returns = content["return"]
    return [
        title,
        f"{content['episodes']:,}" if content["episodes"] else "?",
        f"{content['steps']:,}" if content["steps"] else "?",
        f"{content['length']['mean']:,.0f}" if content["length"] else "?",
        *(one_decimal(returns[key]) for key in ("mean", "std", "min", "max")),
        one_decimal(content["score"]["mean"]) if content["score"] else "-",
    ]


def say_verdict(verdict: "Verdict", environment: str, name: str) -> None:
    """Say how simulator and data compare."""
    say(
        f"{name} against {environment}: {verdict.checked:,} steps, {verdict.ends:,} of them the "
        f"last of an episode, restored from the {verdict.restored_from}"
    )
    if verdict.left_out:
        say(
            f"{verdict.left_out:,} sampled steps were left out: a velocity beyond what the "
            "observation shows."
        )
    for note in verdict.notes:
        say(f"note: {note}")
    rows = [
        ("observation", verdict.observation, verdict.observation_floor),
        ("reward", verdict.reward, verdict.reward_floor),
        *([("simulator state", verdict.state, None)] if verdict.state else []),
    ]
    say_table(
        ["one-step error", "median", "99%", "worst", "floor: median", "floor: 99%", "floor: worst"],
        [
            [what, *_numbers(errors), *(_numbers(floor) if floor else ["", "", ""])]
            for what, errors, floor in rows
        ],
        right=range(1, 7),
    )
    say(
        "(floor: what storing the state with this precision costs by itself, measured in this "
        "simulator)"
    )
    say(verdict.in_words(environment))


def _numbers(errors: "Errors") -> list[str]:
    return [f"{errors.median:.2g}", f"{errors.high:.2g}", f"{errors.worst:.2g}"]


def say_intact(changed: list[str], known: "Prepared") -> None:
    """Say whether the prepared copy still is what was prepared."""
    if changed:
        say(
            f"DAMAGED: {', '.join(changed)} of the prepared copy are not what was prepared. "
            f"Remove it with `seqrl data remove {known.name}` and prepare it again."
        )
    else:
        say(
            f"The prepared copy is intact: all {len(known.columns)} columns have their recorded "
            "hash."
        )
