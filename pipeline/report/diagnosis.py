"""What the pairs themselves can tell, whatever the models: the second paragraph of report.md.

Where a good sentence encoder is no better than word overlap, the pairs do not reward what goes beyond shared words, and
an order of encoders on them is not one by what they know of meaning.
"""

import polars as pl

from pipeline.formats import vectors
from pipeline.report.markdown import escaped
from pipeline.report.material import Method
from pipeline.report.numbers import is_defined, is_significant, p_equals, signed, significant, with_interval
from pipeline.report.rows import selected


def sections(table: pl.DataFrame, method: Method, split: str) -> list[str]:
    """A paragraph on a split; nothing where no encoder is compared with a reference."""
    best = selected(table, split).sort("spearman", descending=True, nulls_last=True)
    compared = best.filter(
        pl.col("difference").is_not_null(), pl.col("pooling").is_not_null()
    )  # another overlap says little
    references = best.filter(name=method.reference or "")
    if references.is_empty() or compared.is_empty():
        return []
    reference = references.row(0, named=True)
    name = escaped(reference["name"])
    encoders = compared.filter(pl.col("pooling") == vectors.OWN)
    sentences = [f"**What these pairs can tell.** By itself, {name} reaches {with_interval(reference, 'spearman')}."]
    if encoders.is_empty():
        sentences.append(
            "No sentence encoder is among the baselines, so whether the labels reward more than that is not known here."
        )
    else:
        sentences += of_encoder(encoders.row(0, named=True), name)
    needed = (compared if encoders.is_empty() else encoders)["pairs_needed"][0]
    if is_defined(needed):
        sentences.append(f"About {significant(needed)} pairs like these would be needed to find a difference of .05.")
    return [" ".join(sentences), ""]


def of_encoder(row: dict, reference: str) -> list[str]:
    """What the best sentence encoder adds to the reference, and what follows."""
    found = f"({signed(row, 'difference')}, {p_equals(row['difference_p'])})"
    name = escaped(row["name"])
    if is_significant(row["difference_p"]) and row["difference"] > 0:
        return [f"A sentence encoder, {name}, is significantly above it {found}: the labels reward more than that."]
    return [
        f"Even a sentence encoder, {name}, is not significantly above it {found}. So these pairs cannot rank encoders "
        f"by what they know beyond {reference}."
    ]
