"""results/poolings.md: the figures of the table, whatever was swept."""

import re

import polars as pl
import pytest

from pipeline.formats.tables import POOLINGS, schema_of
from pipeline.report import attention, poolings, verdicts
from tests.report import making
from tests.report.making import METHOD, SIZES, bracketed

FACES = {  # what can stand in a table
    "everything": tuple(making.POOLING_NAMES),
    "no learned poolings": ("mean", "max", "pairs_of_layers"),
    "attention without its control": ("mean", "attention"),
    "no mean": ("norm_mean", "skip_first"),
    "attention without the mean": ("attention", "diagonal"),
    "one pooling": ("mean",),
    "no layers": ("scalar_mix",),
}


def numbers(cell):
    return [float(number) for number in re.findall(r"[-+]?\d*\.\d+(?:e-?\d+)?", cell)]


def tables_of(text):
    """{heading: rows as dictionaries} of the tables of a page."""
    found = {}
    for heading, body in re.findall(r"^### (.*)\n\n((?:[^#\n].*\n|\n)*)", text, flags=re.M):
        lines = [line for line in body.splitlines() if line.startswith("|")]
        if lines:
            header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
            found[heading] = [dict(zip(header, row)) for row in rows]
    return found


@pytest.mark.parametrize("face", FACES)
def test_the_figures_of_the_page_are_those_of_the_table_rounded(rng, face):
    table = making.poolings(rng, ("m", "n"), FACES[face])
    found = tables_of(poolings.page(table, making.summary("mn"), METHOD))
    headings = {
        "pooling": "Poolings",
        "correction": "Corrections",
        "similarity": "Similarities",
        "best of all": "Best of all",
    }
    for encoder in ("m", "n"):
        for family, heading in headings.items():
            expected = table.filter(encoder=encoder, family=family, split="test")
            rows = found[f"{heading} ({encoder}, test)"]
            assert len(rows) == len(expected)
            for cells, row in zip(rows, expected.iter_rows(named=True)):
                assert cells.get("layer", "") == row["layer"]
                rho = {"rho": row["spearman"], "rho_low": row["low"], "rho_high": row["high"]}
                assert cells["rho"] == bracketed(rho, "rho")
                spread = [row["spread"]] if row["runs"] > 1 else []
                assert numbers(cells.get("SD over runs", "")) == pytest.approx(spread, rel=0.05)
                assert cells.get("compared with", "") == (row["against"] or "").replace("_", " ")
                if row["against"]:
                    nested = [row["choice_difference_low"], row["choice_difference_high"]]
                    assert cells["difference"] == bracketed(row, "difference", "+")
                    assert numbers(cells["nested selection"]) == pytest.approx(nested, abs=0.00501)
                    assert float(cells["p"]) == pytest.approx(row["p"], rel=0.05)
                    assert float(cells["minimum detectable difference"]) == pytest.approx(row["detectable"], rel=0.05)
                else:
                    assert not any(cells.get(name) for name in ("difference", "nested selection", "p"))


def choice_row(table, **changes):
    """A table in which LOES's row has these figures, those of the split test."""
    is_choice = pl.col("family") == "layer without labels"
    return table.with_columns(
        pl.when(is_choice).then(pl.lit(value)).otherwise(name).alias(name) for name, value in changes.items()
    )


def test_what_is_lost_where_labels_do_not_choose_the_layer(rng):
    table = making.poolings(rng, sizes={"test": 40})
    figures = {"spearman": 0.5, "low": 0.46, "high": 0.54, "difference": -0.041, "p": 0.03}
    figures |= {"difference_low": -0.08, "difference_high": -0.003}
    figures |= {"choice_difference_low": -0.09, "choice_difference_high": 0.002}

    def said(**changes):
        text = poolings.page(choice_row(table, **(figures | changes)), making.summary(), METHOD)
        assert "### Layer without labels" not in text
        [line] = [line for line in text.splitlines() if "LOES chooses layer" in line]
        return line.partition("LOES chooses layer ")[2]

    assert said() == (
        "2, with a rho of 0.500 [0.460, 0.540]. It differs significantly from layer 1, which train labels choose: "
        "-0.041 [-0.080, -0.003], p = 0.03; with nested selection [-0.090, +0.002]."
    )
    assert "It does not differ significantly from layer 1" in said(p=0.06)
    assert said(layer="1") == "1, as train labels do."
    assert said(difference=None, p=None) == "2, with a rho of 0.500 [0.460, 0.540]. Train labels choose layer 1."
    without = table.filter(pl.col("family") != "layer without labels")
    assert "LOES chooses" not in poolings.page(without, making.summary(), METHOD)


def test_rows_are_named_by_what_they_differ_in(rng):
    found = tables_of(poolings.page(making.poolings(rng), making.summary(), METHOD))
    names = [row["pooling"] for row in found["Poolings (m, test)"]]
    assert names == ["mean", "max", "attention", "diagonal", "scalar mix", "pairs of layers", "attention"]
    assert [row["correction"] for row in found["Corrections (m, test)"]] == ["all but the top 1"]
    assert [row["similarity"] for row in found["Similarities (m, test)"]] == ["neg euclidean"]
    assert [row["combination"] for row in found["Best of all (m, test)"]] == ["pairs of layers, centre, cosine"]


def test_every_split_has_its_answer_and_the_last_that_is_no_subset_its_tables(rng):
    text = poolings.page(making.poolings(rng), making.summary(), METHOD)
    answers = re.findall(r"^- \*\*(\S+), (\S+)\*\* \((\d+) pairs\)", text, flags=re.M)
    assert answers == [("m", split, str(n)) for split, n in SIZES.items() if split != "train"]
    assert "(m, test)" in text
    assert "(m, test-20)" not in text
    assert "largest rho on train" in text
    assert "There is no split but" not in text
    assert text.index("- **m, test**") < text.index("![") < text.index("| ---")


def test_one_split_alone_is_reported_with_a_warning(rng):
    table = making.poolings(rng, sizes={"validation": 50})
    text = poolings.page(table, making.summary(chosen_on="validation", subsets={}), METHOD)
    assert "**There is no split but validation**" in text
    assert "largest rho on validation" in text
    assert "Poolings (m, validation)" in tables_of(text)


def row(name, against, difference=0.1, spread=0.01, **changes):
    bounds = {"difference_low": difference - 0.05, "difference_high": difference + 0.05}
    of_row = {"family": "pooling", "pooling": name, "against": against, "layer": "1", "spread": spread, "p": 0.01}
    return of_row | {"difference": difference} | bounds | changes


MEAN = {"family": "pooling", "pooling": "mean", "layer": "1"}


def frame(*rows):
    return pl.DataFrame(rows, schema=schema_of(POOLINGS))


DIFFERS = "Learned attention differs significantly from the mean: +0.100 [+0.050, +0.150], p = 0.01."
SAME = "Learned attention does not differ significantly from the mean: +0.100 [+0.050, +0.150], p = 0.06."


@pytest.mark.parametrize(
    ("p", "control", "said"),
    [
        (0.01, 0.04, f"{DIFFERS} It differs significantly from its control, which has as many parameters: +0.1"),
        (
            0.01,
            0.06,
            f"{DIFFERS} It does not differ significantly from its control, which has as many parameters: +0.1",
        ),
        (0.06, 0.06, f"{SAME} It does not differ significantly from its control, which has as many parameters: +0.1"),
        (0.06, 0.00001, f"{SAME} It differs significantly from its control, which has as many parameters: +0.1"),
        (0.06, None, SAME),
        (None, None, "Learned attention could not be compared with the mean."),
    ],
)
def test_what_is_said_of_attention(p, control, said):
    found = verdicts.attention(frame(MEAN, row("attention", "mean", p=p), row("attention", "diagonal", p=control)))
    assert found.startswith(said)
    assert ("p < .0001" in found) == (control == 0.00001)


def test_a_control_or_attention_that_is_the_mean_is_said_to_be():
    kept = frame(MEAN, row("attention", "mean"), row("diagonal", "mean", 0.0, 0.0), row("attention", "diagonal"))
    assert (
        verdicts.attention(kept)
        == f"{DIFFERS} Its control, with as many parameters, learned nothing significant and is the mean."
    )
    nothing = frame(MEAN, row("attention", "mean", 0.0, 0.0), row("diagonal", "mean"), row("attention", "diagonal"))
    assert verdicts.attention(nothing) == "Attention learned nothing significant at the selected layer: it is the mean."
    elsewhere = frame(MEAN, row("attention", "mean", 0.0, 0.0, layer="2", p=0.5))  # it happens to have the same rho
    assert "does not differ significantly" in verdicts.attention(elsewhere)


def test_of_attention_that_was_not_swept_or_is_the_reference_nothing_is_said():
    assert verdicts.attention(frame(MEAN, row("max", "mean"))) == ""
    reference = {"family": "pooling", "pooling": "attention", "layer": "1", "spread": 0.1}
    assert verdicts.attention(frame(reference, row("diagonal", "attention"))) == ""


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("idf_mean", "mean"), row("sif", "mean", p=0.05)], "Significantly better than the mean: idf mean."),
        ([row("last", "mean", -0.1)], "Nothing is significantly better than the mean. Significantly worse: last."),
        (
            [row("sif", "mean"), row("last", "mean", -0.1)],
            "Significantly better than the mean: sif. Significantly worse: last.",
        ),
        ([row("sif", "mean", p=0.05)], "Nothing differs significantly from the mean."),
        ([row("sif", "mean", p=None)], "No pooling could be compared with the mean."),
        ([], "No pooling could be compared with the mean."),
    ],
)
def test_which_poolings_differ_significantly(rows, said):
    assert verdicts.significant(frame(MEAN, *rows)) == said


def test_a_reference_that_is_not_the_mean_is_named(rng):
    text = poolings.page(making.poolings(rng, names=FACES["no mean"]), making.summary(), METHOD)
    assert "Nothing differs significantly from norm mean." in text
    assert "Right: a point is a pooling's difference from norm mean at its selected layer" in text


def test_what_was_learned_is_shown_as_the_summary_has_it(rng):
    table = making.poolings(rng)
    text = poolings.page(table, making.summary(), METHOD)
    assert "| attention | 1 | 2 | 0.20 | 0.75 | 20 | yes |" in text
    assert "| diagonal | 0 | 2 | 0.10 | undefined | 1 | no, not significant: the mean stays |" in text
    assert "| scalar mix |  | 2 | 0.10 | 0.12 | 7 | yes |" in text
    assert "Learned from 50 train pairs." in text
    assert "permuted" not in text
    assert "permuted" in poolings.page(table, making.summary(learned=making.LEARNING | {"shuffled": True}), METHOD)
    nothing = poolings.page(table, making.summary(learned={"nothing": "fit.poolings is empty."}), METHOD)
    assert r"Nothing was learned: fit\.poolings is empty." in nothing


def test_what_was_left_out_is_named_with_its_reason(rng):
    summary = making.summary("mn")
    left_out = {"whitening_64": "too few dimensions for last_4 at layer 0", "sif": "too"}
    summary["models"]["m"] = summary["models"]["m"] | {"left_out": left_out}
    text = poolings.page(making.poolings(rng, "mn"), summary, METHOD)
    said = "Left out: whitening 64 (too few dimensions for last\\_4 at layer 0); sif (too)."
    assert said in text.split("## n\n")[0]
    assert "Left out" not in text.split("## n\n")[1]


def test_a_control_that_was_not_swept_is_named_with_the_reason(rng):
    summary = making.summary(("m", "random"))
    nothing = {
        "left_out": {"everything": "its weights are random"},
        "learned": {"nothing": "a control"},
        "attention": None,
    }
    summary["models"]["random"] = nothing
    text = poolings.page(making.poolings(rng), summary, METHOD)
    assert "- **random** was not compared: its weights are random." in text
    assert "## random" not in text
    alone = poolings.page(making.poolings(rng).clear(), {**summary, "models": {"random": nothing}}, METHOD)
    assert "- **random** was not compared: its weights are random." in alone
    assert "There are no models" not in alone


def test_a_study_of_baselines_alone_still_has_a_page(rng):
    text = poolings.page(making.poolings(rng).clear(), making.summary(()), METHOD)
    assert "There are no models: `models` in params.yaml is empty." in text
    assert "![" not in text


def test_what_attention_looks_at(rng):
    text = poolings.page(making.poolings(rng), making.summary(), METHOD)
    assert "### What attention looks at (m, first run, layer 1)" in text
    assert "with its idf is -0.43, and with its place in the sentence undefined (3 sentences)." in text
    assert r"- Most weight: The 2.10, \* 0.60" in text
    assert "- Least weight: cat 0.30" in text
    assert r"- <b>The</b> <sub>cat</sub> \*" in text


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        ({"flat": True}, "Every token weighs the same: the mean was kept.", "Most weight"),
        ({"most": [], "least": []}, "- Most weight: no token is frequent enough", "Every token"),
        ({"examples": []}, "- Least weight: cat 0.30", "Bold"),
    ],
)
def test_attention_with_little_to_show(changes, said, unsaid):
    lines = "\n".join(attention.sections("m", making.ATTENTION | changes))
    assert said in lines
    assert unsaid not in lines


def test_where_attention_did_not_look_there_is_nothing_to_show():
    assert attention.sections("m", None) == []


def test_neighbours_of_one_kind_share_their_tags():
    pieces, weights = ["mag", "ni", "tude", " 7", ".", "4", " a", " b"], [1, 1, 2, 2, 2, 0.1, 0.1, 1]
    assert attention.marked(pieces, weights) == "magni<b>tude 7.</b><sub>4 a</sub> b"
    assert attention.marked(["a", " ", "*", " b"], [2, 0.1, 1, 1]) == r"<b>a</b> \* b"
    assert attention.marked(["a", "", "b"], [2, 1, 2]) == "<b>a</b><b>b</b>"
    assert attention.marked([], []) == ""


def test_the_borders_of_heavy_and_light():
    assert attention.marked(["a", " b", " c", " d"], [1.5, 1.49, 0.51, 0.5]) == "<b>a</b> b c <sub>d</sub>"


def test_pieces_of_text_cannot_act_on_the_page():
    pieces = ["<script>", " http://a.org", "\x1b[31m", "---"]
    assert attention.marked(pieces, [1, 1, 2, 1]) == r"\<script\> http\:\/\/a\.org<b>\\x1b\[31m</b>\---"


def varied(rng):
    """Tables and summaries of which something is missing, each with what is missing as its name."""
    for face, names in FACES.items():
        yield face, making.poolings(rng, names=names), making.summary()
    table = making.poolings(rng)
    figures = [name for name, kind in schema_of(POOLINGS).items() if kind == pl.Float64]
    for missing in (None, float("nan")):
        yield (
            f"undefined: {missing}",
            table.with_columns(pl.lit(missing, pl.Float64).alias(name) for name in figures),
            making.summary(),
        )
        one = (
            pl.when(pl.col("pooling") == "attention").then(pl.lit(missing)).otherwise(name).alias(name)
            for name in figures
        )
        yield f"attention undefined: {missing}", table.with_columns(*one), making.summary()
    bounds = [name for name in figures if name.endswith(("low", "high"))]
    yield "no intervals", table.with_columns(pl.lit(None, pl.Float64).alias(name) for name in bounds), making.summary()
    yield "a layer of null", table.with_columns(pl.col("layer").replace("", None)), making.summary()
    unlearned = making.LEARNING["poolings"][0] | {"layer": None, "rho_at_start": None}
    yield "unlearned", table, making.summary(learned=making.LEARNING | {"poolings": [unlearned]})
    yield "nothing learned", table, making.summary(learned={"nothing": "nobody wanted it"}, attention=None)
    yield "learned without layers in the table", table, making.summary(learned=making.LEARNING | {"poolings": []})
    yield "attention undefined", table, making.summary(attention=making.ATTENTION | {"by_idf": None})
    yield "flat", table, making.summary(attention=making.ATTENTION | {"flat": True, "by_idf": None})
    yield "no models", table.clear(), making.summary(())
    yield "not swept", table.clear(), making.summary(left_out={}, learned={"nothing": "a control"}, attention=None)


def test_no_page_shows_what_python_calls_a_missing_value_or_a_brace(rng):
    for name, table, summary in varied(rng):
        text = poolings.page(table, summary, METHOD)
        assert not re.search(r"[{}]|\b(None|nan|NaN|inf|null|True|False)\b", text), name


def test_every_row_of_a_table_has_as_many_cells_as_its_header(rng):
    for name, table, summary in varied(rng):
        for block in re.findall(r"(?:^\|.*\n)+", poolings.page(table, summary, METHOD), flags=re.M):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, name


def test_undefined_figures_are_shown_as_such(rng):
    missing = pl.when(pl.col("pooling") == "max")
    names = ("spearman", "low", "high", "difference", "difference_low", "difference_high", "p", "detectable")
    table = making.poolings(rng).with_columns(missing.then(None).otherwise(name).alias(name) for name in names)
    rows = tables_of(poolings.page(table, making.summary(), METHOD))["Poolings (m, test)"]
    cells = next(row for row in rows if row["pooling"] == "max")
    assert [cells["rho"], cells["difference"], cells["p"], cells["minimum detectable difference"]] == [
        "undefined",
        "undefined",
        "",
        "",
    ]
