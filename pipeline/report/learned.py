"""The section of poolings.md on what the learned poolings of a model learned."""

from collections.abc import Mapping
from typing import Any

from pipeline.report.markdown import Cell, escaped, section, table, words
from pipeline.report.numbers import FEWER_DECIMALS, fixed


def sections(model: str, learned: Mapping[str, Any]) -> list[str]:
    """`learned` of one model in SUMMARY["models"]: why nothing was learned, or each pooling at its selected layer."""
    if "nothing" in learned:
        return [f"Nothing was learned: {escaped(learned['nothing'].rstrip('.'))}.", ""]
    if not learned["poolings"]:
        return []
    header = ["pooling", "layer", "runs", "rho at the start", "rho at the best epoch", "best epoch", "kept"]
    cells: list[list[Cell]] = [
        [
            words(row["pooling"]),
            "" if row["layer"] is None else escaped(str(row["layer"])),
            learned["runs"],
            fixed(row["rho_at_start"], FEWER_DECIMALS),
            fixed(row["rho_held_out"], FEWER_DECIMALS),
            row["epoch"],
            "yes" if row["kept"] else "no, not significant: the mean stays",
        ]
        for row in learned["poolings"]
    ]
    lead = (
        f"Learned from {learned['pairs']} train pairs. Rho is of train pairs, each scored by the run that held it out."
    )
    if learned["shuffled"]:
        lead += " **The train labels were permuted**: a control in which there is nothing to learn."
    return section(
        f"What was learned ({escaped(model)})", [lead], table(header, cells, text=("layer", "kept")), level=3
    )
