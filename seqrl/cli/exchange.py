"""`seqrl import-hf` and `seqrl export-hf`: published Decision Transformers in, ours out."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from seqrl.cli.data import DATA_DIR
from seqrl.cli.output import say, say_json, shown_progress
from seqrl.cli.play import CHECKPOINT
from seqrl.cli.tasks import JSON
from seqrl.errors import SeqrlError


def import_hf(
    source: Annotated[str, typer.Argument(metavar="FOLDER_OR_ID", help="A folder, or a hub id.")],
    task: Annotated[
        str, typer.Option(help="What it was trained on: full or short name, e.g. hopper-medium.")
    ],
    mean: Annotated[
        str | None,
        typer.Option(help="Means of the observations: 0.1,0.2,... or a file, .npy or JSON."),
    ] = None,
    std: Annotated[str | None, typer.Option(help="Their deviations, likewise.")] = None,
    data_dir: DATA_DIR = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="target=3600, context_steps=20 or return_scale=1000; else as its files say, or "
            "best_in_data, max_length and 1000.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The checkpoint to write; else results/imported/NAME.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Make a checkpoint of a published Decision Transformer, to be played like any other.

    Its observations were standardised with the mean and deviation of the data it was trained on,
    which published files do not hold. They are taken from the folder if `seqrl export-hf` wrote it,
    from --mean and --std, or from the official data set if that is here or can be had; from
    nothing else.
    """
    from seqrl.huggingface import DecisionTransformerConfig
    from seqrl.runs.exchange import import_published, name_of, written_of
    from seqrl.runs.statistics import statistics_of

    name = name_of(source).replace("/", "--")
    file = out or Path("results", "imported", f"{name}.safetensors")
    if file.suffix != ".safetensors" or file.is_dir():
        raise SeqrlError(f"--out {file}: name a file that ends in .safetensors.")
    said = DecisionTransformerConfig.from_pretrained(source).to_dict()
    with shown_progress() as progress:
        found = statistics_of(
            said, task, source, mean=mean, std=std, data_dir=data_dir, progress=progress
        )
    policy = import_published(source, found, settings or [], file)
    if as_json:
        about = {"checkpoint": str(file), "imported": policy.about["imported"]}
        say_json({**about, **asdict(written_of(policy))})
        return
    say(f"{policy.about['imported']}.")
    say(f"  checkpoint  {file}")
    say(f"Play it: seqrl play {shlex.quote(str(file))}")


def export_hf(
    checkpoint: CHECKPOINT,
    folder: Annotated[Path, typer.Argument(help="Where to write the model; made if missing.")],
) -> None:
    """Write a checkpoint as a folder that transformers' DecisionTransformerModel reads.

    With a model card: statistics, data, protocol, scores, and a loop that plays it. The heads that
    we do not train are zero.
    """
    from seqrl.runs.exchange import export

    policy = export(checkpoint, folder)
    say(f"{type(policy.agent).__name__} of {policy.model.tokenizer.data.name}: {folder}")
    say(f"How to play it with transformers: {folder / 'README.md'}")
