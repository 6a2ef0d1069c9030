"""The subcommands of `drillcore`. Each reads its options, calls the library and prints; `--help` shows examples."""

import functools
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.base import cli, settings
from pipeline.base.code import ROOT
from pipeline.base.errors import InputError
from pipeline.base.stopping import stop_quietly

EPILOG = "Run it in the root of a clone. --debug shows the traceback of what is else one line. docs/howto/command.md has more."
app = typer.Typer(
    help="Which layer of a language model orders your sentence pairs as their labels do, and does it beat word overlap?",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def command(function):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - a decorator of typer's
    """A subcommand, with a word for Ctrl-C."""
    return app.command(epilog=EPILOG)(cli.stoppable(function))


@app.callback()
def in_clone() -> None:
    """Which layer of a language model orders your sentence pairs as their labels do, and does it beat word overlap?"""
    here = Path.cwd()
    if missing := [name for name in ("dvc.yaml", "params.yaml", "catalog.yaml") if not Path(name).is_file()]:
        raise InputError(f"no {missing[0]} in {here}: run drillcore in the root of a clone, such as cd {ROOT}")
    if (here / "pipeline").is_dir() and here.resolve() != ROOT:
        raise InputError(
            f"this drillcore is that of {ROOT}, and the stages here are those of {here}: pip install -e . here, or "
            "python -m pipeline.command"
        )


@command
def run(
    pairs: Annotated[str, typer.Argument(metavar="PAIRS", help="a CSV, TSV, JSONL, JSON or Parquet file, or a data set of catalog.yaml")],
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL", help="a folder or file of weights, hub:owner/name[@revision], or a name"),
    ],
    sentence1: Annotated[str | None, typer.Option(help="column of the first text, where it has another name")] = None,
    sentence2: Annotated[str | None, typer.Option(help="column of the second text")] = None,
    label: Annotated[str | None, typer.Option(help="column of the label: 0/1, or a grade; larger is more alike")] = None,
    split: Annotated[str | None, typer.Option(help="column that says train, validation or test")] = None,
    separator: Annotated[str | None, typer.Option(help="between cells, such as ';'")] = None,
    encoding: Annotated[str | None, typer.Option(help="of a text file that is not UTF-8, such as cp1252")] = None,
    quoting: Annotated[bool | None, typer.Option(help="whether quotes enclose cells or are text")] = None,
    no_label: Annotated[float | None, typer.Option(help="the label that means that there is none, such as -1")] = None,
    pairs_name: Annotated[str | None, typer.Option(help="name of a new data set in catalog.yaml")] = None,
    model_name: Annotated[str | None, typer.Option(help="name of a new model in catalog.yaml")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="of a new model: hf (its own), world, gpt2 or bytes")] = None,
    special_tokens: Annotated[bool, typer.Option("--special-tokens", help="[CLS] and [SEP], as BERT wants")] = False,
    baseline: Annotated[list[str] | None, typer.Option(help="instead of those in params.yaml; may be repeated")] = None,
    pooling: Annotated[str | None, typer.Option(help="how tokens become a vector: mean, last, attention ...")] = None,
    limit: Annotated[int | None, typer.Option(help="only the first so many pairs of each split, for a first try")] = None,
    save: Annotated[str | None, typer.Option(help="keep the result as an experiment of this name")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="check, say what would be written, write nothing")] = False,
) -> None:
    """Run the pipeline on PAIRS with one MODEL or more.

    It adds what is new to catalog.yaml, sets params.yaml, checks both, says how long it may take, and runs dvc repro.
    A name of catalog.yaml comes before a file of that name. Only hub: (or owner/name) uses a network.

    \b
    Examples:
      drillcore run pairs.csv my-model
      drillcore run pairs.csv my-model --sentence1 question --sentence2 answer --label grade
      drillcore run mrpc demo hub:HuggingFaceTB/SmolLM2-135M --limit 100 --dry-run
      drillcore run sample demo --pooling last --save last
    """
    from pipeline.command import running

    columns = {"sentence1": sentence1, "sentence2": sentence2, "label": label, "split": split}
    of_file = {"separator": separator, "encoding": encoding, "quoting": quoting, "no_label": no_label}
    of_model = {"tokenizer": tokenizer, "special_tokens": special_tokens or None}
    asked = running.Asked(
        *(pairs, models, _given(columns), _given(of_file), _given(of_model)),
        *(pairs_name, model_name, baseline, pooling, limit),
    )
    running.run(asked, save, dry_run)


def _given(options: dict) -> dict:
    return {name: value for name, value in options.items() if value is not None}


@command
def check() -> None:
    """Say what is wrong in params.yaml and catalog.yaml, a line each."""
    from pipeline.check import study

    if found := study.problems():
        for line in found:
            print("error:", cli.printable(line), file=sys.stderr)
        raise typer.Exit(1)
    print("params.yaml and catalog.yaml: nothing is wrong")


@command
def describe() -> None:
    """Say what a run of params.yaml takes.

    Pairs, tokens, disk and time, and the stages that have no results yet. Nothing is downloaded. For another study: drillcore run PAIRS MODEL --dry-run
    """
    from pipeline.command import running

    running.describe()


@command
def catalog(
    kind: Annotated[str | None, typer.Argument(metavar="[KIND]", help="datasets, models or baselines; all of them where left out")] = None,
) -> None:
    """List the names of catalog.yaml.

    Where each comes from, its size where it is on this machine, and its licence where the card there says one.
    """
    from pipeline.command import running

    running.catalog(kind)


@command
def compare(
    experiments: Annotated[
        list[str], typer.Argument(metavar="EXP", help="an experiment, a commit or `workspace`; :ENCODER may follow")
    ],
    split: Annotated[str | None, typer.Option(help="the last one where left out")] = None,
    out: Annotated[Path | None, typer.Option(help="also write every figure to this CSV")] = None,
) -> None:
    """Test whether rho differs between experiments.

    The first is compared with each other one, on the pairs that all have. It reads scores out of DVC's cache and runs nothing. Settings of the test are those of `correlate` in params.yaml.

    \b
    Examples:
      drillcore compare HEAD workspace
      drillcore compare HEAD last attention
      drillcore compare HEAD:demo HEAD:demo-tuned
    """
    from pipeline.command import running

    running.compare(experiments, split, out)


@command
def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="a model of params.yaml that has run")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help=".npy, .tsv, .parquet, or a folder for sentence-transformers")],
    layer: Annotated[int | None, typer.Option(help="the one that train chose where left out; -1 is the last")] = None,
    pooling: Annotated[str | None, typer.Option(help="that of params.yaml where left out")] = None,
) -> None:
    """Write one layer's vectors for another tool.

    The ending says which: NumPy, the two files of TensorFlow's projector, Parquet with the text beside the vector. A
    name without an ending is a folder, which sentence-transformers opens as an encoder of new texts.

    \b
    Examples:
      drillcore export demo vectors.npy --layer 3
      drillcore export demo atlas.parquet && embedding-atlas atlas.parquet --text text --vector vector
      drillcore export demo projector.tsv
      drillcore export smollm2-135m my-encoder --layer 12
    """
    from pipeline.command import running

    running.export(model, layer, out, pooling)


@command
def clean(
    remove: Annotated[list[str] | None, typer.Option(help="a key to remove; may be repeated")] = None,
    everything: Annotated[bool, typer.Option("--all", help="remove all keys")] = False,
) -> None:
    """Show the scratch store of the dumps, and empty it.

    Results and DVC's cache stay; a dump that is not finished starts anew.
    """
    from pipeline.command import running

    running.clean(remove or [], everything)


def main() -> None:
    """The console script."""
    stop_quietly()
    cli.ending(functools.partial(app, prog_name="drillcore"))
