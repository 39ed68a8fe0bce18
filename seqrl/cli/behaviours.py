"""`seqrl behaviours ...`: train the policies that play the embedded sets, and measure them."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Behaviour policies, which play the embedded data sets: train more, measure them.\n\n"
    "The shipped ones were made by this recipe; nothing here is needed to use seqrl.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command()
def train(
    body: Annotated[
        str, typer.Argument(metavar="BODY", help="halfcheetah, hopper, walker2d or ant.")
    ],
    steps: Annotated[
        int,
        typer.Option(
            help="Training steps, a multiple of 10,000. About 300,000 give a medium policy; an "
            "expert takes one to two million."
        ),
    ] = 300_000,
    out: Annotated[
        Path, typer.Option(help="Where to put the folder that is named after the body.")
    ] = Path("behaviours"),
    seed: Annotated[
        int, typer.Option(help="Of the networks, the exploration and the first episode.")
    ] = 0,
) -> None:
    """Train a SAC policy and keep its actor every 10,000 steps.

    Takes about 135 training steps a second on one core: 300,000 steps are some 40 minutes. Needs
    [bold]pip install 'seqrl\\[behaviours]'[/bold].

    Leaves OUT/BODY with the actors (0010000.safetensors, ...), every action that SAC took
    (actions/: enough to play the whole training again, bit for bit), the training returns
    (log.jsonl), and the recipe with all versions (training.json). Stopped early, it leaves all of
    that up to the last actor; it cannot be continued, and it never writes into a folder in use.
    """
    from seqrl.cli.output import say, shown_progress
    from seqrl.data import behaviour_training

    with shown_progress() as progress:
        place = behaviour_training.train(body, steps, out, seed=seed, progress=progress)
    say(f"The actors are in {place}. How well do they play? seqrl behaviours measure {place}")


@app.command()
def measure(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="What `train` left: a folder named after a body."),
    ],
    episodes: Annotated[int, typer.Option(help="Whole episodes that each actor plays.")] = 20,
) -> None:
    """Play every actor in a folder and show its returns, to choose the one that a data set needs.

    Actions are sampled, as when data is collected, from fixed seeds, so that measuring again gives
    the same numbers. Takes a few seconds an actor. Leaves FOLDER/returns.csv.
    """
    from seqrl.cli.output import say, say_table, shown_progress
    from seqrl.data import behaviour_training

    with shown_progress() as progress:
        measured = behaviour_training.measure(folder, episodes, progress=progress)
    say_table(
        ["training steps", "episodes", "return", "spread", "lowest", "highest", "length", "score"],
        [
            [
                f"{row.steps:,}",
                f"{row.episodes}",
                f"{row.return_mean:,.1f}",
                f"{row.return_std:,.1f}",
                f"{row.return_min:,.1f}",
                f"{row.return_max:,.1f}",
                f"{row.length_mean:,.1f}",
                f"{row.score_mean:.1f}",
            ]
            for row in measured
        ],
        right=range(8),
    )
    say(f"Written to {folder / 'returns.csv'}.")
