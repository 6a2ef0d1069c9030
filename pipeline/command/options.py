"""The arguments and options of `drillcore`, with what `--help` says of each."""

from pathlib import Path
from typing import Annotated

import typer

Pairs = Annotated[
    str,
    typer.Argument(metavar="PAIRS", help="a CSV, TSV, JSONL, JSON or Parquet file, or a data set of catalog.yaml"),
]
Models = Annotated[
    list[str],
    typer.Argument(metavar="MODEL", help="a folder or file of weights, hub:owner/name[@revision], or a name"),
]
Sentence1 = Annotated[str | None, typer.Option(help="column of the first text, where it has another name")]
Sentence2 = Annotated[str | None, typer.Option(help="column of the second text")]
Label = Annotated[str | None, typer.Option(help="column of the label: 0/1, or a grade; larger is more alike")]
SplitColumn = Annotated[str | None, typer.Option(help="column that says train, validation or test")]
Separator = Annotated[str | None, typer.Option(help="between cells, such as ';'")]
Encoding = Annotated[str | None, typer.Option(help="of a text file that is not UTF-8, such as cp1252")]
Quoting = Annotated[bool | None, typer.Option(help="whether quotes enclose cells or are text")]
NoLabel = Annotated[float | None, typer.Option(help="the label that means that there is none, such as -1")]
PairsName = Annotated[str | None, typer.Option(help="name of a new data set in catalog.yaml")]
ModelName = Annotated[str | None, typer.Option(help="name of a new model in catalog.yaml")]
Tokenizer = Annotated[str | None, typer.Option(help="of a new model: hf (its own), world, gpt2 or bytes")]
SpecialTokens = Annotated[bool, typer.Option("--special-tokens", help="of a new model: [CLS], [SEP], as BERT wants")]
Baselines = Annotated[list[str] | None, typer.Option(help="instead of those in params.yaml; may be repeated")]
RunPooling = Annotated[str | None, typer.Option(help="how tokens become a vector: mean, last, attention ...")]
Limit = Annotated[int | None, typer.Option(help="only the first so many pairs of each split; all where left out")]
Engine = Annotated[str | None, typer.Option(help="where this run works: local or ray (docs/howto/ray.md)")]
Save = Annotated[str | None, typer.Option(help="keep the result as an experiment of this name")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="check, say what would be written, write nothing")]
Kind = Annotated[str | None, typer.Argument(metavar="[KIND]", help="datasets, models or baselines; or all of them")]
Sentences = Annotated[
    int | None, typer.Option(min=1, help="also say what so many sentences of such lengths would take")
]
Speed = Annotated[float | None, typer.Option(min=1, help="with --sentences: tokens that a device reads a second")]
Experiments = Annotated[
    list[str],
    typer.Argument(metavar="EXP", help="an experiment, a commit or `workspace`; :ENCODER may follow"),
]
Plotted = Annotated[
    list[str] | None, typer.Argument(metavar="[EXP]", help="experiments, commits, branches or tags; or `workspace`")
]
Split = Annotated[str | None, typer.Option(help="the last one where left out")]
Csv = Annotated[Path | None, typer.Option(help="also write every figure to this CSV")]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="a model of params.yaml that has run")]
Target = Annotated[
    Path, typer.Argument(metavar="OUT", help=".npy, .tsv, .parquet, or a folder for sentence-transformers")
]
Layer = Annotated[int | None, typer.Option(help="the one that train chose where left out; -1 is the last")]
Pooling = Annotated[str | None, typer.Option(help="that of params.yaml where left out")]
Remove = Annotated[list[str] | None, typer.Option(help="a key to remove; may be repeated")]
Everything = Annotated[bool, typer.Option("--all", help="remove all keys")]
