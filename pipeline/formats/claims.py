"""`results/claims.csv`, `results/claims.json` and `results/conditions.csv`: what became of each claim of the paper."""

from pathlib import Path
from typing import Any

import polars as pl

from pipeline.base.files import write_json
from pipeline.formats import tables
from pipeline.formats.damage import read_json
from pipeline.formats.tables import NUMBER, TEXT, Columns

STAGE = "claims"
WHOLE = pl.Int64
CLAIMS: Columns = {
    "claim": (TEXT, "C1 to C7, Q1 to Q3, or N1, the first next check"),
    "measure": (TEXT, "what is compared; its rule is in docs/reference/claims.md"),
    "main": (pl.Boolean, "whether the measure decides the claim; the others explain it"),
    "model": (TEXT, ""),
    "variant": (TEXT, "which of several: the kind of entropy, the probe"),
    "against": (TEXT, "the encoder or pooling that it is compared with, if any"),
    "dataset": (TEXT, "its name in catalog.yaml"),
    "split": (TEXT, "a split or a named subset of one; empty for time, memory and geometry"),
    "pooling": (TEXT, "of the model's vectors"),
    "layer": (WHOLE, "of `ours`; empty for what has none or is of several layers"),
    "other_layer": (WHOLE, "of `other`"),
    "paper": (TEXT, "the paper's own value"),
    "unit": (TEXT, "of `ours` and `other`"),
    "ours": (NUMBER, "the first of the two figures of the decisive comparison"),
    "other": (NUMBER, "the second"),
    "value": (NUMBER, "their difference or ratio, or the slope: what the rule judges"),
    "low": (NUMBER, "its interval"),
    "high": (NUMBER, ""),
    "test": (TEXT, "where interval and p come from"),
    "p": (NUMBER, "of no effect; of several comparisons with Holm's correction where one of them would be enough"),
    "n": (WHOLE, "pairs, of geometry sentences"),
    "detectable": (NUMBER, "minimum detectable difference of the decisive comparison: 80 % power at p < .05"),
    "spread": (NUMBER, "standard deviation over entries that were tuned from one base"),
    "compared": (WHOLE, "comparisons"),
    "agreeing": (WHOLE, "of them significant for the claim, after Holm's correction"),
    "opposing": (WHOLE, "of them significant against it"),
    "verdict": (TEXT, "supported, contradicted, not resolvable at this n, or not tested here"),
    "why": (TEXT, "why it was not tested"),
    "command": (TEXT, "what measured it, or would"),
}
CONDITIONS: Columns = {
    "condition": (TEXT, "in what the two entries differ: fine-tuning, tokenizer, bos ...; their weights are the same"),
    "model": (TEXT, ""),
    "against": (TEXT, "the entry that it is compared with: the base of a tuned one, else the one listed first"),
    "split": (TEXT, "a split or a named subset of one"),
    "layer": (pl.Int32, ""),
    "n": (WHOLE, "pairs"),
    "spearman": (NUMBER, "rho of the model"),
    "against_spearman": (NUMBER, "rho of the other at the same layer"),
    "difference": (NUMBER, "the first minus the second"),
    "difference_low": (NUMBER, "a band that holds for all layers at once"),
    "difference_high": (NUMBER, ""),
    "p": (NUMBER, "of no difference; Holm over the layers"),
    "detectable": (NUMBER, "minimum detectable difference: found with 80 % power at p < .05, before Holm"),
}
SUMMARY: dict[str, tuple[Any, str]] = {
    "dataset": (str, "its name in catalog.yaml"),
    "split": ((str, type(None)), "of the verdicts below: the last that is no subset"),
    "claims": (dict, "{claim: {statement, paper, verdicts: {model: verdict}}}"),
}
"""`results/claims.json`"""


def write(path: str | Path, table: pl.DataFrame) -> None:
    """CLAIMS as CSV."""
    tables.write(path, table, CLAIMS)


def read(path: str | Path) -> pl.DataFrame:
    """CLAIMS."""
    return tables.read(path, CLAIMS, STAGE)


def write_conditions(path: str | Path, table: pl.DataFrame) -> None:
    """CONDITIONS as CSV."""
    tables.write(path, table, CONDITIONS)


def read_conditions(path: str | Path) -> pl.DataFrame:
    """CONDITIONS."""
    return tables.read(path, CONDITIONS, STAGE)


def write_summary(path: str | Path, summary: dict[str, Any]) -> None:
    """The keys of SUMMARY as JSON."""
    write_json(path, summary)


def read_summary(path: str | Path) -> dict[str, Any]:
    """The keys of SUMMARY."""
    return read_json(path, {key: kind for key, (kind, _) in SUMMARY.items()}, STAGE)
