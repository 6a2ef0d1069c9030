"""results/claims.md: the verdicts of the table, whatever names are in it, and tables of ten rows."""

import re

import polars as pl
import pytest

from pipeline.claims.decide import CONTRADICTED, SUPPORTED, UNRESOLVED, UNTESTED
from pipeline.claims.evidence import Relations
from pipeline.claims.paper import CLAIMS
from pipeline.claims.rules import RULES
from pipeline.formats import claims
from pipeline.formats.tables import schema_of
from pipeline.report.claims import code, opening, page
from pipeline.report.page import page as report_page
from pipeline.report.settings import Report
from tests.report.making import METHOD, material

FOUND = {"value": 0.1234567, "low": 0.0234567, "high": 0.2, "ours": 0.5, "other": 0.3765433, "p": 0.01, "n": 99}
FOUND |= {"compared": 1, "agreeing": 1, "opposing": 0, "layer": 3}


def row(measure, model, verdict, split="test", **changes):
    rule = RULES[measure]
    one = {"claim": rule.claim, "measure": measure, "main": rule.main, "model": model, "dataset": "toy", "split": split}
    one |= {"pooling": "mean", "unit": rule.unit or None, "paper": rule.paper or None, "verdict": verdict}
    return one | ({"why": "why so", "command": "dvc x"} if verdict == UNTESTED else FOUND) | changes


def table_of(*rows):
    return pl.DataFrame(list(rows), schema=schema_of(claims.CLAIMS))


def every(*models, verdict=UNTESTED):
    return [row(measure, model, verdict) for measure in RULES for model in models]


def text_of(*rows, conditions=None, related=None):
    conditions = pl.DataFrame(conditions or [], schema=schema_of(claims.CONDITIONS))
    table = table_of(*rows)
    models = table["model"].unique(maintain_order=True).to_list()
    return page(table, conditions, related or Relations(models=models, baselines=[]), "test", METHOD)


def tables_in(text):
    """Each table of a page as lists of cells."""
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()] for block in blocks]


def test_each_claim_has_its_verdict_in_words():
    rows = [
        row("shallow_minus_others", "a", SUPPORTED),
        row("shallow_minus_others", "b", CONTRADICTED),
        row("shallow_minus_others", "c", SUPPORTED),
        row("slope", "a", UNRESOLVED),
        row("entropy", "a", SUPPORTED, split=None, variant="matrix_entropy"),
        row("entropy", "a", SUPPORTED, split=None, variant="softmax_entropy"),
        row("entropy", "a", CONTRADICTED, split=None, variant="spectral_entropy"),
    ]
    text = text_of(*rows)
    assert "| supported for a and c; contradicted for b |" in text
    assert "| not resolvable at this n for a |" in text
    assert "| depends on the measure (2 of 3 supported, 1 contradicted) for a |" in text
    assert text.count("| not tested here |") == len(CLAIMS) - 3
    assert "| a | matrix entropy |" in text
    assert "+0.12 [+0.02, +0.20]" in text
    assert "<" not in text.replace("< .0001", "")


def test_tables_have_ten_rows_at_most_and_say_where_the_rest_is():
    models = [f"m{i}" for i in range(14)]
    condition = {"condition": "tokenizer", "against": "x", "split": "test", "layer": 1, "n": 9, "difference": 0.1}
    condition |= {"difference_low": 0.0, "difference_high": 0.2, "p": 0.01, "detectable": 0.1}
    text = text_of(*every(*models, verdict=SUPPORTED), conditions=[condition | {"model": name} for name in models])
    tables = tables_in(text)
    assert len(tables) == 2 + len(CLAIMS) + 1
    assert max(len(rows) for rows in tables) == 2 + 10
    assert all(len({len(cells) for cells in rows}) == 1 for rows in tables)
    assert "4 more are in [claims.csv](claims.csv)." in text
    assert "4 more are there." in text
    assert "| tokenizer | m0 | x | 1 / 0 of 1 | 1 | +0.10 [+0.00, +0.20] | 0.01 | 0.10 |" in text


ODD = "m|<b>*x*</b>`[a](http://b.c)"


def test_names_of_models_and_encoders_are_escaped():
    rows = [row("layers_minus_vectors", ODD, SUPPORTED, against=ODD)]
    rows += [row("time", ODD, UNTESTED, split=None, why=ODD, command=f"dvc {ODD}")]
    related = Relations(models=[ODD], baselines=[], untrained=[ODD], unread=[ODD])
    for text in (text_of(*rows, related=related), "\n".join(opening(table_of(*rows)))):
        outside = re.sub(r"`[^`\n]*`", "", re.sub(r"\\`", "", text))
        assert "<b>" not in outside.replace("\\<b\\>", "")
        assert "](http://b.c)" not in outside.replace("\\]", "")
        assert "*x*" not in outside.replace("\\*", "")
    assert all(len({len(cells) for cells in found}) == 1 for found in tables_in(text_of(*rows, related=related)))
    assert code("a`b\nc").count("`") == 2
    assert "\n" not in code("a`b\nc")


def test_what_was_not_tested_has_the_command_once_for_all_models():
    text = text_of(*every("a", "b"))
    assert "- Not tested for a and b: why so. To test it: `dvc x`" in text
    assert text.count("`dvc x`") == len(CLAIMS)


def test_what_to_beware_of():
    rows = [row("slope", "a", SUPPORTED, pooling="last_4"), row("slope", "a", CONTRADICTED, split="validation")]
    related = Relations(
        models=["a", "b", "c"], baselines=[], untrained=["b"], unread=["b", "c"], readouts={"a": "values"}
    )
    text = text_of(*rows, related=related)
    assert "- a: pooled by last 4, where the paper took the mean." in text
    assert "- b: random weights: nobody trained it, and it is a control." in text
    assert "- a: read as values, where the paper took hidden layers." in text
    assert "- c: failed the language-model check." in text
    assert "- On validation otherwise: C2 contradicted for a." in text


@pytest.mark.parametrize(
    ("measure", "changes", "wanted"),
    [
        ("time", {"value": 712.3, "low": 600.0, "high": 800.0, "ours": 7.123, "other": 0.01}, "712 times [600, 800]"),
        (
            "memory",
            {"value": 0.5, "low": 0.5, "high": 0.5, "ours": 1e9, "other": 2e9},
            "1,000 MB | 2,000 MB | 0.500 times |",
        ),
        ("slope", {"value": -0.01234, "low": -0.02, "high": -0.001}, "-0.0123 [-0.0200, -0.0010]"),
        (
            "few_carriers",
            {"value": 1.5, "low": 1.4, "high": 1.6, "ours": None, "other": None},
            "| 1.50 [1.40, 1.60] |",
        ),
    ],
)
def test_figures_in_their_units(measure, changes, wanted):
    assert wanted in text_of(row(measure, "a", SUPPORTED, **changes))


def test_report_md_opens_with_what_scores_can_judge(rng):
    rows = [row("slope", "a", SUPPORTED), row("encoder_minus_model", "a", UNTESTED)]
    found = opening(table_of(*rows))
    assert "- Rho falls with depth (C2): supported for a." in found
    assert "- Sentence encoders order the pairs better (Q3): not tested here." in found
    assert [line[-4:-2] for line in found if line.startswith("- ")]
    assert opening(table_of()) == opening(None) == []
    whole = report_page(material(rng, verdicts=table_of(*rows)), METHOD, Report(1))
    assert "\n".join(found) in whole
    assert whole.index("arXiv 2502.14620") < whole.index("![Spearman's rho by layer]")


def test_a_study_without_models_has_a_page():
    assert "There are no models to judge the paper by." in text_of()
