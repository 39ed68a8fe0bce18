"""`seqrl attention`: where does each layer of an agent's network look?"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqrl.cli.output import say, say_json, say_table, shown_progress
from seqrl.cli.play import CHECKPOINT, SEED
from seqrl.cli.run import DEVICE, THREADS
from seqrl.cli.targets import OUT, places
from seqrl.cli.tasks import JSON

if TYPE_CHECKING:
    from seqrl.runs.looks import Looks, Share

APART = 3
"""Steps back that have a column of their own."""


def attention(
    checkpoint: CHECKPOINT,
    episodes: Annotated[int, typer.Option(help="How many to play.", min=1)] = 1,
    seed: SEED = None,
    out: OUT = None,
    device: DEVICE = "auto",
    threads: THREADS = None,
    as_json: JSON = False,
) -> None:
    """Play a checkpoint, and show where each layer looks: table, CSV and figure.

    The network looks once more at windows of the trained length, evenly spread over what was
    played. Shares are those of the window's last step, averaged. Needs no data.
    """
    from dataclasses import asdict

    from seqrl.report.attention import attention_figure
    from seqrl.report.figures import write_figure
    from seqrl.runs.attention import look
    from seqrl.runs.looks import write_looks
    from seqrl.runs.origin import Origin, loaded
    from seqrl.runs.table import make_room

    policy = loaded(checkpoint, device=device, threads=threads)
    origin = Origin.of(checkpoint, policy, seed)
    table, picture = places(checkpoint, out, "attention")
    make_room(table)
    with shown_progress() as progress:
        looks = look(policy, origin, episodes=episodes, progress=progress)
    write_looks(table, looks)
    write_figure(attention_figure(looks), picture, looks.caption)
    if as_json:
        numbers = {"layers": _layers(looks), "even": _sums(looks.even(), 0)}
        files = {"table": str(table), "figure": str(picture)}
        say_json({**asdict(origin), "windows": int(looks.about["windows"]), **numbers, **files})
        return
    _say_layers(looks)
    say(looks.caption)
    say(f"  table   {table}")
    say(f"  figure  {picture}")


def _sums(looks: "Looks", layer: int) -> dict[str, Any]:
    """Sum up one layer, heads averaged."""
    return {
        "by_steps_back": looks.by_steps_back()[layer].mean(0).tolist(),
        "own_token_before": float(looks.earlier(0)[layer]),
        "next_token_before": float(looks.earlier(1)[layer]),
    }


def _layers(looks: "Looks") -> list[dict[str, Any]]:
    from seqrl.report.attention import strongest

    found = []
    for layer in range(len(looks.weights)):
        ways = [
            {
                "from_part": way.from_part,
                "to_part": way.to_part,
                "steps_back": way.steps_back,
                "share": way.share,
            }
            for way in strongest(looks, layer + 1)
        ]
        found.append({"layer": layer + 1, **_sums(looks, layer), "strongest": ways})
    return found


def _say_layers(looks: "Looks") -> None:
    from seqrl.report.attention import strongest

    def row(name: str, of: "Looks", layer: int, ways: "list[Share]") -> list[str]:
        sums = _sums(of, layer)
        back = sums["by_steps_back"]
        far = [sum(back[APART:])] if len(back) > APART else []
        goals = [1 - sum(back)] if with_goals else []
        shares = [*back[:APART], *far, *goals, sums["own_token_before"], sums["next_token_before"]]
        return [name, *map(_percent, shares), "; ".join(map(_in_words, ways))]

    with_goals = any(token.step is None for token in looks.tokens)
    steps = [f"{back} back" for back in range(min(APART, looks.steps))]
    far = [f"{APART}+ back"] if looks.steps > APART else []
    head = ["layer", *steps, *far, *(["goals"] * with_goals), "own before", "next before"]
    rows = [
        row(str(layer + 1), looks, layer, strongest(looks, layer + 1))
        for layer in range(len(looks.weights))
    ]
    rows.append(row("even", looks.even(), 0, []))
    say_table([*head, "strongest ways"], rows, right=range(1, len(head)))
    say(
        "Where the tokens of a window's last step look, heads averaged. Own before: a token's own\n"
        "part and dimension in earlier steps. Next before: those of the token behind it, of which\n"
        "it speaks. Even: if all that may be seen counted alike."
    )


def _in_words(way: "Share") -> str:
    back = {None: "", 0: ", same step"}.get(way.steps_back, f", {way.steps_back} back")
    return f"{way.from_part} to {way.to_part}{back} {_percent(way.share)}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"
