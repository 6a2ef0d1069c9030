"""results/report.md: its figures are those of the tables, and what does not apply is not on it."""

import re

import numpy as np
import polars as pl
import pytest

from pipeline.formats.splits import main_split
from pipeline.formats.tables import CORRELATIONS, PROBES, schema_of
from pipeline.report import correlations, depth, methods, page, poolings, probes
from pipeline.report.material import Method
from pipeline.report.rows import reported_splits
from pipeline.report.settings import Report
from tests.report import making
from tests.report.making import FAILED, METHOD, SUBSETS, bracketed, places


def text_of(material, method=METHOD, false_positives=2):
    return page.page(material, method, Report(false_positives))


@pytest.fixture
def material(rng):
    return making.material(rng)


@pytest.fixture
def text(material):
    return text_of(material)


def below(text, heading):
    """The lines below a heading, up to the next one."""
    return re.split(r"^#+ ", text.split(f" {heading}\n")[1], flags=re.M)[0]


def cells_of(text, heading):
    """The rows of the table below a heading as dictionaries, and its header."""
    lines = [line for line in below(text, heading).splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return [dict(zip(header, row)) for row in rows]


def without(table, *names):
    """A table of CORRELATIONS with some columns empty."""
    return table.with_columns(pl.lit(None, CORRELATIONS[name][0]).alias(name) for name in names)


def test_the_results_are_the_selected_rows_of_the_table_rounded_best_first(material, text):
    rows = material.table.filter(pl.col("selected"), split="test").sort("spearman", descending=True)
    found = cells_of(text, "test")
    assert len(found) == len(rows) == 5
    for cells, row in zip(found, rows.iter_rows(named=True)):
        assert cells["encoder"] == row["name"]
        assert cells["layer"] == ("" if row["layer"] is None else str(row["layer"]))
        assert cells["rho"] == bracketed(row, "spearman")
        assert cells["AUC"] == bracketed(row, "auc")
        assert cells["Pearson's r"] == f"{row['pearson']:.{places(row, 'pearson')}f}"
        assert cells["rho / ceiling"] == f"{row['spearman_of_ceiling']:.{places(row, 'spearman')}f}"
        assert cells["rho minus the best"] == bracketed(row, "below_best", "+")
        assert cells["p"] == f"{row['below_best_p']:.2g}"


def test_the_comparison_is_that_of_the_table_rounded(material, text):
    rows = material.table.filter(pl.col("difference").is_not_null(), split="test").sort("difference", descending=True)
    found = cells_of(text, "Against overlap dice (test)")
    assert [cells["encoder"] for cells in found] == rows["name"].to_list()
    for cells, row in zip(found, rows.iter_rows(named=True)):
        assert cells["rho minus that of overlap dice"] == bracketed(row, "difference", "+")
        assert cells["p"] == f"{row['difference_p']:.2g}"
        assert cells["partial rho given overlap dice"] == bracketed(row, "partial", "+")
        assert cells["AUC minus that of overlap dice"] == f"{row['auc_difference']:+.{places(row, 'difference')}f}"
        assert cells["p (DeLong)"] == f"{row['auc_difference_p']:.2g}"
    low, high = rows["detectable"].min(), rows["detectable"].max()
    sentence = f"Minimum detectable difference in rho: {low:#.2g} to {high:#.2g}, depending on the encoder."
    assert sentence in below(text, "Against overlap dice (test)")


def test_decisions_have_a_floor(rng):
    table = making.correlations(rng).with_columns(pl.lit(0.5).alias("positives"))
    text = text_of(making.material(rng, table))
    rows = table.filter(pl.col("accuracy").is_not_null(), split="test").sort("accuracy", descending=True)
    found = cells_of(text, "Positive or not (test)")
    for cells, row in zip(found, rows.iter_rows(named=True)):
        assert [cells["encoder"], cells["accuracy"], cells["MCC"]] == [
            row["name"],
            f"{row['accuracy']:.2f}",
            f"{row['mcc']:.2f}",
        ]
        assert [cells["F1"], cells["balanced accuracy"]] == [f"{row['f1']:.2f}", f"{row['balanced_accuracy']:.2f}"]
    assert list(found[-1].values()) == ["*always positive*", "", "0.50", "0.67", "0.50", "0.00"]
    assert "never positive" not in text
    best = rows["accuracy"][0]
    assert f"standard error of {np.sqrt(best * (1 - best) / 40):#.2g}." in below(text, "Positive or not (test)")


def test_where_positives_are_rare_calling_none_positive_is_a_floor_too():
    assert correlations.without_scores(0.25, 3) == [
        ["*always positive*", "", "0.250", "0.400", "0.500", "0.000"],
        ["*never positive*", "", "0.750", "0.000", "0.500", "0.000"],
    ]


def test_the_slope_of_each_model_by_split(material, text):
    for model, cells in zip(("m", "n"), cells_of(text, "Does rho rise or fall with depth?")):
        assert cells["encoder"] == model
        for split in ("validation", "test", "test-20"):
            row = material.table.filter(pl.col("slope").is_not_null(), encoder=model, split=split).row(0, named=True)
            assert cells[f"{split}: rho per layer"] == bracketed(row, "slope", "+")
    assert "On test, rho has no significant trend for **m** and **n**." in text


def test_what_is_said_of_slopes():
    rows = pl.DataFrame({"name": list("abcd"), "slope": [0.1, -0.1, 0.2, 0.1], "slope_p": [0.01, 0.04, 0.2, None]})
    assert depth.verdict(rows, "test") == [
        "On test, rho rises significantly with depth for **a**; it falls significantly with depth for **b**; "
        "it has no significant trend for **c** and **d**."
    ]
    assert depth.verdict(rows.clear(), "test") == []


def answer_of(material, method=METHOD):
    """The three lines on top."""
    return text_of(material, method).split("\n\n")[1].splitlines()


def ranked(rng, order, p=0.5, split="test"):
    """A table in which rho on a split falls along some names from .9 on, and differences from the best have one p."""
    table = making.correlations(rng)
    of_split = (pl.col("split") == split) & pl.col("selected")
    for place, name in enumerate(order):
        at, rho = of_split & (pl.col("name") == name), 0.9 - 0.05 * place
        figures = {"spearman": rho, "spearman_low": rho - 0.02, "spearman_high": rho + 0.02}
        if place:
            figures |= {"below_best": rho - 0.9, "below_best_low": rho - 0.93, "below_best_high": rho - 0.88}
        figures |= {"below_best_p": p if place else None, "below_best_detectable": 0.0456 if place else None}
        changed = {key: pl.when(at).then(value).otherwise(key) for key, value in figures.items()}
        table = table.with_columns(**changed)
    return table


def test_the_first_line_names_the_best_its_leads_and_the_best_model(rng):
    order = ["words", "overlap tfidf", "overlap dice", "n", "m"]
    best, depth_line, _ = answer_of(making.material(rng, ranked(rng, order)))
    assert best == (
        "- **Best on test:** **words**, with a rho of 0.900 [0.880, 0.920]. That is +0.050 [+0.030, +0.080] above the "
        "next, **overlap tfidf**, and +0.100 [+0.080, +0.130] above the reference, overlap dice. "
        "The best model is **n** (mean, layer 1): 0.750 [0.730, 0.770]."
    )
    assert depth_line == "- **Depth:** rho has no significant trend for **n** and **m**."


def test_the_first_line_where_a_model_or_the_reference_is_best_or_next(rng):
    model = answer_of(making.material(rng, ranked(rng, ["m", "overlap dice", "words", "n", "overlap tfidf"])))[0]
    assert model.startswith("- **Best on test:** **m** (mean, layer 1), with a rho of 0.900")
    assert model.endswith(" above the next, **overlap dice**.")
    reference = answer_of(making.material(rng, ranked(rng, ["overlap dice", "words", "m", "n", "overlap tfidf"])))[0]
    assert "It is the reference. That is +0.050 [" in reference
    assert " above the reference" not in reference


def test_what_cannot_be_told_from_the_best_is_said_with_what_could_have_been_found(rng):
    order = ["words", "overlap tfidf", "overlap dice", "n", "m"]
    all_alike = answer_of(making.material(rng, ranked(rng, order)))[2]
    assert all_alike == (
        "- **Not separable from the best:** all of the 4 others. With 40 pairs, a true difference of 0.046 from the "
        "best would be found in 80 % of samples."
    )
    significant = pl.col("name").is_in(["overlap dice", "m"])
    some = ranked(rng, order).with_columns(below_best_p=pl.when(significant).then(0.001).otherwise("below_best_p"))
    line = answer_of(making.material(rng, some))[2]
    assert line.startswith("- **Not separable from the best:** **overlap tfidf** and **n** (mean, layer 1). With 40 ")
    apart = answer_of(making.material(rng, ranked(rng, order, p=0.001)))[2]
    assert "none; every other encoder is significantly below it." in apart
    untested = without(ranked(rng, order), *(name for name in CORRELATIONS if name.startswith("below_best")))
    assert answer_of(making.material(rng, untested))[2].endswith("not known, since nothing could be tested.")


def test_who_differs_from_the_reference_is_said_above_the_table_that_shows_it(rng):
    table = making.correlations(rng)
    said = "Nothing differs significantly from overlap dice."
    assert below(text_of(making.material(rng, table)), "Against overlap dice (test)").split("\n\n")[0].strip() == said
    p = pl.when(pl.col("difference") > 0).then(0.01).when(pl.col("difference") < 0).then(0.02).otherwise(None)
    rows = table.filter(pl.col("difference").is_not_null(), split="test").sort("spearman", descending=True)
    text = text_of(making.material(rng, table.with_columns(p.alias("difference_p"))))
    found = below(text, "Against overlap dice (test)")
    higher, lower = (rows.filter(pl.col("difference").sign() == sign)["name"].to_list() for sign in (1, -1))
    assert (f"Significantly above overlap dice: {', '.join(higher)}." in found) == bool(higher)
    assert ("Nothing is significantly above overlap dice." in found) == (not higher)
    assert (f"Significantly below: {', '.join(lower)}." in found) == bool(lower)


def test_the_caption_says_what_the_picture_has(rng, material, text):
    assert "a dashed line is an encoder without layers, with its 90 % interval at the right end." in text
    assert "several seeds" not in text
    assert "; dotted lines bound that of the other." in text
    table = material.table
    alone = text_of(making.material(rng, table.filter(pl.col("layer").is_not_null()), baselines={}))
    assert "dashed line" not in alone
    rows = text_of(making.material(rng, table.filter(pl.col("layer").is_null()), manifests={}))
    assert "A square is an encoder's rho, and the line through it the 90 % interval." in rows
    random = {name: making.manifest(name, FAILED, {"random": seed}) for seed, name in enumerate("mn")}
    assert "Where a curve stands for several seeds" in text_of(making.material(rng, table, manifests=random))


def test_the_picture_comes_before_every_table(text):
    assert text.index("![") < text.index("| ---")


def test_what_does_not_apply_is_not_on_the_page(rng, material):
    table = material.table
    graded = making.material(
        rng, without(table, "positives", *making.CLASSES, "auc", "auc_difference", "auc_difference_p")
    )
    for absent in ("ositive or not", "p (DeLong)", "| AUC", "are positive", "AUC minus"):
        assert absent not in text_of(graded)
    alone = text_of(making.material(rng, without(table, *making.VERSUS)), Method(0.9, 100, None))
    for absent in ("Against", "Minimum detectable", "Partial rho", "ignificantly above", "the reference"):
        assert absent not in alone
    assert "## Does rho rise" not in text_of(making.material(rng, without(table, "slope")))
    baselines = text_of(making.material(rng, table.filter(pl.col("layer").is_null())))
    for absent in (
        "Every layer",
        "Language-model check\n",
        "Worst false positives",
        "Where the states",
        "Shaded",
        "The best model",
    ):
        assert absent not in baselines
    assert "Worst false positives" not in text_of(material, false_positives=0)


def test_every_kind_of_p_and_interval_is_named_with_its_correction(text):
    for said in (
        "Brackets are 90 % intervals, each by itself.",
        "(12,345 resamples)",
        "All others have Holm's correction over the rows of their table.",
        "A single interval can exclude 0 although the corrected p-value is large.",
        "DeLong's method over components",
        "not corrected for the number of encoders",
        "90 % band of the model with the largest rho on test, which holds for all its layers at once",
        "the one with the largest rho on train",
    ):
        assert said in text


def test_the_split_that_layers_were_chosen_on_is_not_reported(material, text):
    assert reported_splits(material.table, SUBSETS) == ["validation", "test", "test-20"]
    assert re.findall(r"^## (.*)$", text, flags=re.M)[:3] == ["validation", "test", "test-20"]
    assert main_split(["validation", "test", "test-20"], SUBSETS) == "test"
    assert main_split(["test-20"], SUBSETS) is None


def test_splits_that_layers_were_chosen_on_are_marked(rng, material, text):
    assert "inflates" not in text
    alone = making.material(rng, material.table.filter(split="test"))
    assert text_of(alone).count("which inflates the figures of the models") == 1
    info = {"dataset": "toy", "source": None, "control": None, "subsets": {"train-20": ["train", 20]}, "shared": {}}
    table = material.table.with_columns(pl.col("split").replace("test-20", "train-20"))
    marked = making.material(rng, table, info=info)
    assert "which inflates" in correlations.facts(marked, "train-20")
    assert "which inflates" not in correlations.facts(marked, "test")


def test_a_model_that_fails_the_language_model_check_is_flagged_and_the_cause_named(rng, material, text):
    assert "Warning" not in text
    assert cells_of(text, "Language-model check")[0]["better than a unigram model"] == "yes"

    def checked(*given):
        return text_of(making.material(rng, material.table, manifests={"m": making.manifest("m", *given)}))

    wrong = checked(FAILED)
    assert wrong.splitlines()[2].startswith(
        "> **Warning: m fails the language-model check.** It needs 5.12 bits per byte, a unigram model 2.50. "
        "Either it is untrained, or its tokenizer is not the one it was trained with."
    )
    assert cells_of(wrong, "Language-model check")[0]["better than a unigram model"] == "**no: check the tokenizer**"
    random = checked(FAILED, {"random": 3})
    assert "Warning" not in random
    assert "> **m** has random weights and, as expected, fails the language-model check" in random
    assert random.index("**Best on test:**") < random.index("> **m** has random weights")
    assert cells_of(random, "Language-model check")[0]["better than a unigram model"] == "no (random weights)"
    unmeasured = checked(None)
    assert "Warning" not in unmeasured
    assert cells_of(unmeasured, "Language-model check")[0]["better than a unigram model"] == "not measured"


def test_a_model_of_which_something_else_than_hidden_layers_was_read_is_named(rng, material, text):
    assert "readout" not in text
    assert "read as" not in text
    other = making.manifest("m") | {"readout": "token_prepending_6"}
    page_of = text_of(making.material(rng, material.table, manifests=material.manifests | {"m": other}))
    assert "> Not all curves are of plain hidden layers: **m** is read as token prepending 6." in page_of
    readouts = [row["readout"] for row in cells_of(page_of, "Where the states come from")]
    assert readouts == ["token prepending 6", ""]


def test_a_model_that_is_a_control_is_called_one_wherever_it_is_named(rng, material, text):
    assert "control" not in text
    shuffled = making.manifest("m")
    shuffled["parts"]["tokens"] = {"tokenizer": {"kind": "bytes", "shuffle_words": 0}}
    best = pl.when(encoder="m", split="test").then(0.95).otherwise("spearman").alias("spearman")
    table = material.table.with_columns(best)
    page_of = text_of(making.material(rng, table, manifests=material.manifests | {"m": shuffled}))
    assert "(mean, layer 1, a control: shuffled words), with a rho of" in page_of
    verdicts = [row["better than a unigram model"] for row in cells_of(page_of, "Language-model check")]
    assert verdicts == ["yes (shuffled words)", "yes"]
    assert "| bytes, words shuffled with seed 0 |" in page_of
    assert "Warning" not in page_of
    failed = making.material(rng, table, manifests=material.manifests | {"m": making.manifest("m", FAILED)})
    assert "(mean, layer 1, which fails the language-model check), with a rho of" in text_of(failed)
    page_of = text_of(making.material(rng, table, manifests=material.manifests | {"m": shuffled | {"gate": FAILED}}))
    assert "It is a control: shuffled words." in page_of.splitlines()[2]
    both = shuffled | {"gate": FAILED, "parts": shuffled["parts"] | {"weights": {"random": 1}}}
    page_of = text_of(making.material(rng, table, manifests=material.manifests | {"m": both}))
    assert "| no (random weights and shuffled words) |" in page_of


@pytest.mark.parametrize(
    ("field", "said"),
    [("permute_labels", "the labels are permuted within each split (seed 5)"), ("pair_at_random", "(seed 5)")],
)
def test_pairs_that_are_a_control_are_called_one_in_the_first_line_of_each_page(rng, material, field, said):
    control = {"control": {field: 5}}
    pages = [text_of(making.material(rng, info=material.info | control))]
    pages.append(poolings.page(making.poolings(rng), making.summary() | control, METHOD))
    pages.append(probes.page(pl.DataFrame(schema=schema_of(PROBES)), {"m": "why not"}, material.info | control, METHOD))
    for text in pages:
        line = text.splitlines()[2]
        assert line.startswith("> **A control: ")
        assert said in line


def test_bits_truncation_coverage_and_provenance_are_reported(text):
    [row, _] = cells_of(text, "Language-model check")
    assert [row["bits per byte"], row["unigram of bytes"], row["unigram of its tokens"]] == ["1.50", "4.40", "2.50"]
    assert [row["sentences"], row["truncated"], row["tokens"]] == ["12", "3", "120"]
    assert "| glove | 50 | 0.988 | 2 |" in text
    assert (
        "| m | sha256 0123456789ab | bytes | float32, stored as float16 | tokens of 3 layers | torch 2.0 | 0a1b |"
        in text
    )


def test_the_seed_of_random_weights_is_reported(rng):
    manifests = {"m": making.manifest("m", FAILED, {"random": 7})}
    assert "| m | random, seed 7 | bytes |" in text_of(making.material(rng, manifests=manifests))


SOURCE = {"hub": "owner/na_me", "revision": "main", "commit": "0123456789" * 4}


def test_commits_of_the_hub_are_reported_shortened(rng, text):
    assert "from the hub" not in text
    assert "## Where the pairs come from" not in text
    sources = {"weights": SOURCE, "tokenizer": SOURCE | {"commit": "f" * 40}}
    material = making.material(rng, manifests={"m": making.manifest("m", sources=sources)})
    row = cells_of(text_of(material), "Where the states come from")[0]
    assert row["weights"] == "sha256 0123456789ab"
    assert row["weights from the hub"] == r"owner/na\_me at 012345678901"
    assert row["tokenizer from the hub"] == r"owner/na\_me at ffffffffffff"
    encoder = {"modules": ["Pooling"], "dim": 6, "prompt": None, "max_tokens": 10, "truncated": 0}
    baselines = {"a": encoder | {"source": SOURCE}, "b": encoder | {"source": None}}
    rows = cells_of(text_of(making.material(rng, baselines=baselines)), "Sentence encoders")
    assert [row["from the hub"] for row in rows] == [r"owner/na\_me at 012345678901", ""]
    pairs = making.material(rng, info=making.material(rng).info | {"source": SOURCE})
    assert r"The pairs are those of owner/na\_me at 012345678901 on the hub." in text_of(pairs)


def test_too_few_components_and_shared_components_are_said(rng, material, text):
    assert "**Few components: the pairs count as 20. Below 30, intervals are too narrow" in below(text, "test-20")
    assert "Few components" not in below(text, "test")
    assert "2 of the pairs are in components that reach into another split." in below(text, "test")
    assert "another split" not in below(text, "validation")


@pytest.mark.parametrize(
    ("pooling", "said"),
    [("mean", False), ("attention", True), ("attention_2", True), ("scalar_mix", True), ("last_4", False)],
)
def test_a_learned_pooling_is_said_to_be_one(rng, pooling, said):
    table = making.correlations(rng).with_columns(pl.col("pooling").replace("mean", pooling))
    sentence = f"**{pooling.replace('_', ' ')} was learned from the labels of the train pairs**"
    assert (sentence in text_of(making.material(rng, table))) == said


def false_positives(material, count, model="m", layer=1):
    """The worst false positives of a model on test by definition: (score, rank, pair)."""
    scores = pl.concat(making.scores_tables(material)).filter(encoder=model, layer=layer, split="test")
    pairs = scores.sort("score", descending=True).rows(named=True)
    ranked = [(row["score"], rank, row["pair_id"]) for rank, row in enumerate(pairs, 1) if row["label"] == 0]
    return ranked[:count]


def test_the_worst_false_positives_are_those_by_definition_with_their_sentences(material, text):
    found = re.findall(
        r"^- (\S+) \(rank (\d+) of 40\), pair (\d+)  \n  (.*)  \n  (.*)$",
        below(text, "Worst false positives (test)"),
        flags=re.M,
    )
    expected = false_positives(material, 2) + false_positives(material, 2, "n")
    assert [tuple(pair[:3]) for pair in found] == [
        (f"{score:.4f}", str(rank), str(pair)) for score, rank, pair in expected
    ]
    assert [pair[3:] for pair in found] == [(f"no. {2 * pair}", f"no. {2 * pair + 1}") for *_, pair in expected]


def test_graded_labels_have_false_positives_of_the_lowest_grade(rng):
    material = making.material(rng, graded=True)
    lead = below(text_of(material), "Worst false positives (test)")
    lowest = material.pairs.filter(split="test")["label"].min()
    assert f"Pairs with label {lowest:g} that each model" in lead


def test_a_mix_of_layers_has_false_positives_too(rng):
    table = making.correlations(rng, [("m", "first_last", "none", None, "cosine"), *making.ENCODERS[-3:]])
    material = making.material(rng, table, manifests={"m": making.manifest("m")})
    assert "**m**, first last, cosine:" in below(text_of(material), "Worst false positives (test)")


def test_sentences_and_splits_are_shown_as_they_are(rng):
    table = making.correlations(rng).with_columns(pl.col("split").replace("test", "te|st <b>"))
    material = making.material(rng, table)
    pairs = material.pairs.with_columns(pl.col("split").replace("test", "te|st <b>"))
    nasty = material.sentences.with_columns(text=pl.lit("---\n<i>&amp; http://a.org \x1b[31m"))
    text = text_of(making.material(rng, table, pairs=pairs, sentences=nasty))
    assert r"## te\|st \<b\>" in text
    assert r"\---\\n\<i\>\&amp; http\:\/\/a\.org \\x1b\[31m" in text
    assert "\x1b" not in text
    assert "<i>" not in text


def test_an_empty_sentence_is_said_to_be_empty(rng, material):
    blank = material.sentences.with_columns(text=pl.lit(""))
    assert "*(empty)*" in text_of(making.material(rng, material.table, sentences=blank))


def varied(rng):
    """Materials of which some figures are missing, each with what is missing as its name."""
    table = making.correlations(rng)
    one = (pl.col("name") == "m") | (pl.col("name") == "overlap tfidf")
    statistics = [name for name in CORRELATIONS if name.startswith(("spearman", "pearson", "auc"))]
    inferred = ["spearman_of_ceiling", *making.INFERRED]
    for missing in (None, float("nan")):
        empty = (
            pl.when(one).then(pl.lit(missing)).otherwise(name).alias(name)
            for name in dict.fromkeys([*statistics, *inferred])
        )
        yield f"undefined: {missing}", making.material(rng, table.with_columns(*empty))
    bounds = [name for name in CORRELATIONS if name.endswith(("_low", "_high"))]
    yield "no intervals", making.material(rng, without(table, *bounds))
    yield (
        "everything undefined",
        making.material(rng, without(table, *dict.fromkeys([*statistics, *inferred, "ceiling"]))),
    )
    yield "graded", making.material(rng, without(table, "positives", "auc", *making.CLASSES), graded=True)
    yield "no models", making.material(rng, table.filter(pl.col("layer").is_null()), manifests={}, baselines={})
    yield "no baselines", making.material(rng, table.filter(pl.col("layer").is_not_null()), baselines={})
    yield "not measured", making.material(rng, table, manifests={name: making.manifest(name, None) for name in "mn"})
    yield "one split", making.material(rng, table.filter(split="test"))
    yield "undefined decisions", making.material(rng, without(table, "f1", "mcc"))
    yield (
        "no layer is defined everywhere",
        making.material(rng, table.with_columns(pl.col("layer").is_null().alias("selected"))),
    )


def test_no_page_shows_what_python_calls_a_missing_value(rng):
    for name, material in varied(rng):
        for method in (METHOD, Method(0.95, 100, None)):
            text = text_of(material, method)
            assert not re.search(r"[{}]|\b(None|nan|NaN|inf|null|True|False)\b", text), name
            assert "  \n\n" not in text


def test_every_row_of_a_table_has_as_many_cells_as_its_header(rng):
    for name, material in varied(rng):
        for block in re.findall(r"(?:^\|.*\n)+", text_of(material), flags=re.M):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, name


def test_the_methods_speak_of_decisions_only_where_there_are_some():
    assert any("**Positive or not.**" in line for line in methods.of_report(METHOD, "train", decisions=True))
    assert not any("**Positive or not.**" in line for line in methods.of_report(METHOD, "train", decisions=False))
