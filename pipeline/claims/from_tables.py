"""Evidence from what later stages found: probes (N1) and learned attention (Q2)."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from pipeline.claims.decide import Effects
from pipeline.claims.evidence import BOOTSTRAP, Evidence, Relations, untested
from pipeline.claims.remedies import NO_OVERLAP

ATTENTION, MEAN, CONTROL = "attention", "mean", "diagonal"
NOT_SWEPT = "learned attention was not compared"
NOT_PROBED = "no layer of the upper half was probed"


def effects_of(rows: pl.DataFrame, value: str, p: str | None) -> Effects:
    """K rows -> their column `value` with its interval and the corrected p-values of a column, if there are any."""

    def column(name: str) -> np.ndarray:
        return rows[name].cast(pl.Float64).fill_null(np.nan).to_numpy()

    tested = np.full(len(rows), np.nan) if p is None else column(p)
    return Effects(column(value), column(f"{value}_low"), column(f"{value}_high"), tested, corrected=True)


def attention(poolings: pl.DataFrame, related: Relations, splits: Sequence[str]) -> Iterator[Evidence]:
    """Q2 from POOLINGS (formats.tables): learned attention minus the mean, and minus its control."""
    of_attention = poolings.filter(family="pooling", pooling=ATTENTION)
    for model in related.models:
        for split in splits:
            for measure, against in (("attention_minus_mean", MEAN), ("attention_minus_control", CONTROL)):
                rows = of_attention.filter(encoder=model, split=split, against=against)
                rows = rows.filter(pl.col("difference").is_finite())
                if rows.is_empty():
                    if against == MEAN:
                        yield untested(measure, model, NOT_SWEPT, split)
                    continue
                row = rows.row(0, named=True)
                rho = np.array([row["spearman"]])
                yield Evidence(
                    measure,
                    model,
                    against=against,
                    split=split,
                    n=row["n"],
                    layers=[(int(row["layer"]), None)] if (row["layer"] or "").isdigit() else [],
                    effects=effects_of(rows[:1], "difference", "p"),
                    figures=(rho, rho - row["difference"]),
                    test=BOOTSTRAP,
                    detectable=np.array([np.nan if row["detectable"] is None else row["detectable"]]),
                )


def probes(table: pl.DataFrame, related: Relations, splits: Sequence[str]) -> Iterator[Evidence]:
    """N1 from PROBES (formats.tables): probes of the upper half of the layers against the cosine of the same layer; and
    of the selected layer, against the control and against word overlap's probe.
    """
    for model in related.models:
        for split in splits:
            rows = table.filter(pl.col("layer").is_not_null(), encoder=model, split=split)
            if rows.is_empty():
                yield untested("probe_minus_cosine", model, NOT_PROBED, split)
            for probe in rows["probe"].unique(maintain_order=True):
                yield from of_probe(rows.filter(probe=probe).sort("layer"), model, probe)


def of_probe(rows: pl.DataFrame, model: str, probe: str) -> Iterator[Evidence]:
    """One probe of a model on one split, a row for each layer."""
    facts: dict[str, Any] = {"variant": probe, "split": rows["split"][0], "n": rows["n"][0], "test": BOOTSTRAP}
    deepest: int = rows["layer"].max()  # type: ignore[assignment]
    deep = rows.filter(pl.col("layer") * 2 > deepest, pl.col("gain").is_finite())
    if deep.is_empty():
        yield untested("probe_minus_cosine", model, NOT_PROBED, facts["split"])
    else:
        figures = deep["spearman"].to_numpy(), deep["zero_shot_spearman"].to_numpy()
        found = effects_of(deep, "gain", "gain_p")
        layers = [(layer, layer) for layer in deep["layer"].to_list()]
        yield Evidence("probe_minus_cosine", model, effects=found, figures=figures, layers=layers, **facts)
    chosen = rows.filter("selected")
    for measure, value, p, against in (
        ("probe_minus_control", "selectivity", None, "control"),
        ("probe_minus_overlap", "difference", "p", "word overlap"),
    ):
        defined = chosen.filter(pl.col(value).is_finite())
        if defined.is_empty():
            if measure == "probe_minus_overlap":
                yield untested(measure, model, NO_OVERLAP, facts["split"])
            continue
        row = defined.row(0, named=True)
        ours = np.array([row[row["metric"]]])
        yield Evidence(
            measure,
            model,
            against=against,
            layers=[(row["layer"], None)],
            effects=effects_of(defined[:1], value, p),
            figures=(ours, ours - row[value]),
            **facts,
        )
