"""`seqrl predict`: how far ahead does a model know what will be seen?"""

from typing import TYPE_CHECKING, Annotated

import typer

from seqrl.cli.output import say, say_json, say_table, shown_progress
from seqrl.cli.play import CHECKPOINT, SEED
from seqrl.cli.run import DEVICE, THREADS
from seqrl.cli.targets import OUT, places
from seqrl.cli.tasks import JSON

if TYPE_CHECKING:
    from seqrl.runs.prediction import Prediction

HORIZONS = (1, 2, 5, 10, 20, 50, 100)
"""What is printed; the table has them all."""


def predict(
    checkpoint: CHECKPOINT,
    steps: Annotated[int, typer.Option(help="How far ahead to predict.", min=1)] = 100,
    episodes: Annotated[
        int,
        typer.Option(help="To play; up to five stretches of each are predicted.", min=1),
    ] = 10,
    markov: Annotated[
        bool,
        typer.Option(
            " /--without-markov",
            help="Leave out the Markov model. It needs the checkpoint's data, and a training as "
            "long as the checkpoint's own: once, beside the checkpoint.",
        ),
    ] = True,
    seed: SEED = None,
    out: OUT = None,
    device: DEVICE = "auto",
    threads: THREADS = None,
    as_json: JSON = False,
) -> None:
    """Let a Trajectory Transformer say what will be seen, many steps ahead; table and figure.

    It plays; then it gets the start of some stretches and all actions that were taken, and imagines
    the rest token by token, on top of what it has imagined. Beside it: a Markov model trained alike
    that sees the present step alone, observations that stay as they were, and what bins cost by
    themselves. Killed and started again, it plays again, and goes on training where it was.
    """
    from dataclasses import asdict
    from functools import partial

    from seqrl.report.figures import write_figure
    from seqrl.report.predicted import prediction_caption, prediction_figure
    from seqrl.runs.markov import markov_of, markov_place
    from seqrl.runs.origin import Origin, loaded
    from seqrl.runs.predict import check_predicts
    from seqrl.runs.predict import predict as predicted
    from seqrl.runs.prediction import write_prediction
    from seqrl.runs.table import make_room

    policy = loaded(checkpoint, device=device, threads=threads)
    check_predicts(policy)
    origin = Origin.of(checkpoint, policy, seed)
    table, picture = places(checkpoint, out, "predict")
    make_room(table)
    with shown_progress() as progress:
        beside = partial(markov_of, policy, markov_place(checkpoint), progress=progress)
        prediction = predicted(
            policy,
            origin,
            beside if markov else None,
            steps=steps,
            episodes=episodes,
            progress=progress,
        )
    write_prediction(table, prediction)
    write_figure(prediction_figure(prediction), picture, prediction_caption(prediction))
    if as_json:
        say_json(
            {
                **asdict(origin),
                "episodes": prediction.episodes,
                "windows": prediction.windows,
                "markov_sha256": prediction.markov_sha256,
                "left_out": prediction.left_out,
                "errors": [asdict(row) for row in prediction.rows],
                "table": str(table),
                "figure": str(picture),
            }
        )
        return
    _say_table(prediction)
    say(prediction_caption(prediction))
    say(f"  table   {table}")
    say(f"  figure  {picture}")


def _say_table(prediction: "Prediction") -> None:
    rows = {model: prediction.of(model) for model in prediction.models}
    first = next(iter(rows.values()))
    shown = [row for row in first if row.horizon in HORIZONS or row is first[-1]]

    def cell(model: str, horizon: int) -> str:
        row = rows[model][horizon - 1]
        spread = "" if row.standard_error is None else f" ± {row.standard_error:.3f}"
        return f"{row.error:.3f}{spread}"

    say_table(
        ["steps ahead", *rows, "stretches", "episodes"],
        [
            [
                str(row.horizon),
                *(cell(model, row.horizon) for model in rows),
                str(row.stretches),
                str(row.episodes),
            ]
            for row in shown
        ],
        right=range(len(rows) + 3),
    )
