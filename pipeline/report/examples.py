"""The section of report.md with the worst false positives, sentence by sentence."""

import polars as pl

from pipeline.formats.scores import KEYS
from pipeline.report.markdown import escaped, section, words
from pipeline.report.material import Material
from pipeline.report.numbers import fixed
from pipeline.report.rows import selected


def sections(material: Material, split: str, count: int) -> list[str]:
    """The pairs of a split with label 0 (or the lowest grade) that each model scores highest, at its selected layer."""
    models = selected(material.table, split).filter(pl.col("encoder").is_in(list(material.manifests)))
    if not count or models.is_empty():
        return []
    lowest = min(material.pairs.filter(split=split)["label"])
    lead = f"Pairs with label {lowest:g} that each model, at its selected layer, scores highest."
    lines = section(f"Worst false positives ({escaped(split)})", [lead])
    for row in models.iter_rows(named=True):
        same = pl.all_horizontal(pl.col(key).eq_missing(row[key]) for key in KEYS)
        values = material.scores.values[material.scores.keys.select(same).to_series().arg_max()]
        scores = material.pairs.with_columns(pl.Series("score", values)).filter(split=split)
        ranked = scores.with_columns(pl.col("score").rank("min", descending=True).alias("rank"))
        worst = ranked.filter(label=lowest).sort("score", "pair_id", descending=[True, False]).head(count)
        layer = "" if row["layer"] is None else f", layer {row['layer']}"
        lines += [f"**{escaped(row['name'])}**, {words(row['pooling'] or '')}{layer}, {words(row['similarity'])}:", ""]
        for pair in worst.iter_rows(named=True):
            lines += _pair(pair, len(scores), material)
        lines.append("")
    return lines


def _pair(pair: dict, pairs_in_split: int, material: Material) -> list[str]:
    """A list item: score, rank, and both sentences on lines of their own."""
    texts = [material.sentences["text"][pair[column]] for column in ("sentence1_id", "sentence2_id")]
    first, second = (escaped(text) or "*(empty)*" for text in texts)
    score = f"{fixed(pair['score'], 4)} (rank {pair['rank']} of {pairs_in_split}), pair {pair['pair_id']}"
    return [f"- {score}  ", f"  {first}  ", f"  {second}"]
