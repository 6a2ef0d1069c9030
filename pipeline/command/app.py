"""The subcommands of `drillcore`. Each reads its options and calls `running`; `--help` shows examples."""

import functools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer

from pipeline.base import cli
from pipeline.base.code import ROOT
from pipeline.base.errors import InputError
from pipeline.base.stopping import stop_quietly
from pipeline.command import options

PURPOSE = "Which layer of a language model orders your sentence pairs as their labels do, and beats word overlap?"
EPILOG = "Run it in the root of a clone. With --debug, bad input shows its traceback. docs/howto/command.md says more."
app = typer.Typer(
    help=PURPOSE,
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def command(function: Callable[..., None]) -> Callable[..., None]:
    """A subcommand, with a word for Ctrl-C."""
    return app.command(epilog=EPILOG)(cli.stoppable(function))


@app.callback()
def in_clone() -> None:
    """Raise InputError where this is no clone, or one with other code than the command's."""
    here = Path.cwd().resolve()
    if missing := [name for name in ("dvc.yaml", "params.yaml", "catalog.yaml") if not Path(name).is_file()]:
        raise InputError(f"no {missing[0]} in {here}: run drillcore in the root of a clone (cd {ROOT})")
    if (here / "pipeline").is_dir() and here != ROOT:
        raise InputError(
            f"this drillcore is that of {ROOT}, and the stages here are those of {here}: pip install -e . here, or "
            "say python -m pipeline.command instead of drillcore"
        )


@command
def run(
    pairs: options.Pairs,
    models: options.Models,
    sentence1: options.Sentence1 = None,
    sentence2: options.Sentence2 = None,
    label: options.Label = None,
    split: options.SplitColumn = None,
    separator: options.Separator = None,
    encoding: options.Encoding = None,
    quoting: options.Quoting = None,
    no_label: options.NoLabel = None,
    pairs_name: options.PairsName = None,
    model_name: options.ModelName = None,
    tokenizer: options.Tokenizer = None,
    special_tokens: options.SpecialTokens = False,
    baseline: options.Baselines = None,
    pooling: options.RunPooling = None,
    limit: options.Limit = None,
    engine: options.Engine = None,
    save: options.Save = None,
    dry_run: options.DryRun = False,
) -> None:
    """Run the pipeline on PAIRS with one MODEL or more.

    It adds what is new to catalog.yaml, sets params.yaml, checks both, says how long it may take, and runs dvc repro. A
    name of catalog.yaml comes before a file of that name. Only hub: (or owner/name) uses a network.

    \b
    Examples:
      drillcore run pairs.csv my-model
      drillcore run pairs.csv my-model --sentence1 question --sentence2 answer --label grade
      drillcore run mrpc demo hub:HuggingFaceTB/SmolLM2-135M --limit 100 --dry-run
      drillcore run sample demo --pooling last --save last
    """
    from pipeline.command import running

    columns = _given(sentence1=sentence1, sentence2=sentence2, label=label, split=split)
    of_file = _given(separator=separator, encoding=encoding, quoting=quoting, no_label=no_label)
    of_model = _given(tokenizer=tokenizer, special_tokens=special_tokens or None)
    names = running.Names(pairs, models, pairs_name, model_name)
    running.run(names, running.Asked(columns, of_file, of_model, baseline, pooling, limit, engine), save, dry_run)


def _given(**values: Any) -> Mapping[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


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
def describe(sentences: options.Sentences = None, speed: options.Speed = None) -> None:
    """Say what a run of params.yaml takes.

    Pairs, tokens, disk and time, and the stages that have no results yet. Nothing is downloaded. For another study:
    drillcore run PAIRS MODEL --dry-run

    \b
    Examples:
      drillcore describe
      drillcore describe --sentences 100000000 --speed 56000
    """
    from pipeline.command import running

    running.describe(sentences, speed)


@command
def catalog(kind: options.Kind = None) -> None:
    """List the names of catalog.yaml.

    Where each comes from, its size where it is on this machine, and its licence where the card there says one.
    """
    from pipeline.command import running

    running.catalog(kind)


@command
def compare(experiments: options.Experiments, split: options.Split = None, out: options.Csv = None) -> None:
    """Test whether rho differs between experiments.

    The first is compared with each other one, on the pairs that all have. Scores come out of DVC's cache, and nothing
    runs. The settings of the test are those of `correlate` in params.yaml.

    \b
    Examples:
      drillcore compare HEAD workspace
      drillcore compare HEAD last attention
      drillcore compare HEAD:demo HEAD:demo-tuned
    """
    from pipeline.command import running

    running.compare(experiments, split, out)


@command
def plots(experiments: options.Plotted = None) -> None:
    """Draw the curves of experiments into one another.

    It is dvc plots diff, whose page then opens without a network. Without words it draws the workspace alone.

    \b
    Examples:
      drillcore plots HEAD workspace
      drillcore plots HEAD last attention
    """
    from pipeline.command import running

    running.plots(experiments or [])


@command
def export(
    model: options.Model, out: options.Target, layer: options.Layer = None, pooling: options.Pooling = None
) -> None:
    """Write one layer's vectors for another tool.

    The ending says which: NumPy, the two files of TensorFlow's projector, Parquet with the text beside the vector. A
    name without an ending is a folder, which sentence-transformers opens as an encoder of new texts.

    \b
    Examples:
      drillcore export demo vectors.npy --layer 3
      drillcore export demo atlas.parquet && embedding-atlas atlas.parquet --text text --vector vector
      drillcore export demo projector.tsv
      drillcore export demo my-encoder --layer 3
    """
    from pipeline.command import running

    running.export(model, layer, out, pooling)


@command
def clean(remove: options.Remove = None, everything: options.Everything = False) -> None:
    """Show the scratch store of the dumps, and empty it.

    Results and DVC's cache stay; a dump that is not finished starts anew.
    """
    from pipeline.command import running

    running.clean(remove or [], everything)


def main() -> None:
    """The console script."""
    stop_quietly()
    cli.ending(functools.partial(app, prog_name="drillcore"))
