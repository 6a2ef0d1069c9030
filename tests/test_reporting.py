import re

import numpy as np
import polars as pl
import pytest

from pipeline import correlation, inference, reporting
from pipeline.correlation import Correlate
from pipeline.reporting import Report

GOOD = {"bits_per_byte": 1.5, "unigram_byte": 4.4, "unigram_token": 2.5, "tokens": 99, "passed": True}
BAD = GOOD | {"bits_per_byte": 5.1, "passed": False}


@pytest.fixture
def study():
    """Two layers of one model and a measure of overlap on 3 splits; the model's false positive is pair 7."""
    rng = np.random.default_rng(0)
    n = 12
    labels = np.tile([1.0, 0.0], 6)
    pairs = pl.DataFrame(
        {"pair_id": range(n), "split": ["train"] * 6 + ["test"] * 6, "label": labels, "component": range(n), "sentence1_id": range(n), "sentence2_id": [0] * n}
    )
    sentences = pl.DataFrame({"sentence_id": range(n), "text": [f"sentence *{i}* of | this" for i in range(n)]})
    best = labels + 0.01 * np.arange(n)
    best[7] = 9.0
    series = {("m", "mean", 0, "cosine"): rng.random(n), ("m", "mean", 1, "cosine"): best, ("overlap", None, None, "dice"): rng.random(n)}
    scores = pl.concat(
        pairs.select("pair_id", "split", "label").with_columns(
            pl.lit(key[0]).alias("encoder"),
            pl.lit(key[1], pl.String).alias("pooling"),
            pl.lit(key[1] and "none", pl.String).alias("correction"),
            pl.lit(key[2], pl.Int32).alias("layer"),
            pl.lit(key[3]).alias("similarity"),
            pl.Series("score", values),
        )
        for key, values in series.items()
    )
    settings = Correlate(resamples=200, confidence=0.95, seed=0, reference="overlap dice")
    given = scores, pairs, {"test-4": ["test", 4]}, settings
    table = inference.infer(*given)
    info = {"dataset": "toy", "subsets": {"test-4": ["test", 4]}, "shared": {"train": 0, "test": 2}}

    def page(gate=GOOD, weights=None, **changes):
        parts = {"weights": weights or {"sha256": "0123456789abcdef"}, "dtype": "float32", "store": "float16", "keep": "tokens", "layers": [0, 1]}
        parts |= {"tokens": {"tokenizer": {"kind": "bytes"}}, "versions": {"torch": "2.0"}}
        manifest = {"gate": gate, "parts": parts, "key": "0a1b", "sentences": n, "truncated": 3, "tokens": 120}
        return "\n".join(
            reporting.report(
                changes.get("table", table),
                scores,
                pairs,
                sentences,
                info,
                {"m": manifest},
                {"glove": {"coverage": 0.987654, "dim": 50, "sentences_without_a_known_word": 2}},
                settings,
                Report(false_positives=1),
            )
        )

    return page, table


def test_figures_of_the_table_are_those_of_the_csv_rounded(study):
    page, table = study
    row = table.row(by_predicate=(pl.col("encoder") == "m") & (pl.col("layer") == 1) & (pl.col("split") == "test"), named=True)
    cells = next(line for line in page().splitlines() if line.startswith("| m | mean | cosine | 1 |"))
    assert f"{row['spearman']:.4f} [{row['spearman_low']:.3f}, {row['spearman_high']:.3f}]" in cells
    assert f"{row['auc']:.4f}" in cells


def section(page, heading):
    """The lines below a heading, up to the next one."""
    return re.split(r"^#+ ", page.split(heading + "\n")[1], flags=re.M)[0]


def test_the_comparison_is_that_of_the_csv_rounded(study):
    page, table = study
    row = table.row(by_predicate=(pl.col("encoder") == "m") & pl.col("difference").is_not_null() & (pl.col("split") == "test"), named=True)
    text = section(page(), "### Against overlap dice (test)")
    cells = [
        f"{row['difference']:+.4f} [{row['difference_low']:+.3f}, {row['difference_high']:+.3f}]",
        f"{row['difference_p']:.2g}",
        f"{row['partial']:+.4f} [{row['partial_low']:+.3f}, {row['partial_high']:+.3f}]",
        f"{row['auc_difference']:+.4f}",
    ]
    assert f"| m | mean | {' | '.join(cells)} |" in text
    assert f"of {row['detectable']:.3f} would be found with 80 % power" in text
    assert "| overlap dice |" not in text


def test_classification_has_a_floor(study):
    page, table = study
    row = table.row(by_predicate=(pl.col("encoder") == "m") & pl.col("mcc").is_not_null() & (pl.col("split") == "test"), named=True)
    text = section(page(), "### Positive or not (test)")
    assert f"| m | mean | {row['accuracy']:.4f} | {row['f1']:.4f} | {row['balanced_accuracy']:.4f} | {row['mcc']:.4f} |" in text
    assert "| *always positive* |  | 0.5000 | 0.6667 | 0.5000 | 0.0000 |" in text
    assert "never positive" not in text
    rare = section(page(table=table.with_columns(pl.lit(0.25).alias("positives"))), "### Positive or not (test)")
    assert "| *always positive* |  | 0.2500 | 0.4000 | 0.5000 | 0.0000 |" in rare
    assert "| *never positive* |  | 0.7500 | 0.0000 | 0.5000 | 0.0000 |" in rare
    best = table.filter(split="test")["accuracy"].max()
    assert f"standard error of {np.sqrt(best * (1 - best) / 6):.3f}" in text


def test_the_slope_of_each_model_by_split(study):
    page, table = study
    rows = table.filter(pl.col("slope").is_not_null() & pl.col("split").is_in(["test", "test-4"])).rows(named=True)
    cells = [f"{row['slope']:+.4f} [{row['slope_low']:+.3f}, {row['slope_high']:+.3f}] | {row['slope_p']:.2g}" for row in rows]
    assert f"| m | mean | cosine | {' | '.join(cells)} |" in section(page(), "## Does rho rise or fall with depth?")


def test_what_does_not_apply_is_not_on_the_page(study):
    page, table = study
    classes, versus = ("accuracy", "f1", "balanced_accuracy", "mcc"), [name for name in correlation.INFERRED if "difference" in name or "partial" in name]
    graded = page(table=table.with_columns(pl.lit(None, pl.Float64).alias(name) for name in [*classes, "auc_difference", "auc_difference_p"]))
    assert "ositive or not" not in graded
    assert "p (DeLong)" not in graded
    assert "### Against" not in page(table=table.with_columns(pl.lit(None, pl.Float64).alias(name) for name in [*versus, "detectable"]))
    assert "## Does rho rise" not in page(table=table.with_columns(pl.lit(None, pl.Float64).alias("slope")))


def test_every_kind_of_p_and_interval_is_named_with_its_correction(study):
    page, _ = study
    for said in ("p-values are Holm's", "p: bootstrap", "DeLong's method over components", "not corrected for the number", "bands that hold for all layers"):
        assert said in page()


def test_small_p_values_are_no_zeros():
    assert [reporting.p_value(p) for p in (None, 1e-13, 0.00012, 0.25, 1.0)] == ["", "< .0001", "0.00012", "0.25", "1"]


def test_the_split_that_layers_were_chosen_on_is_not_reported(study):
    page, table = study
    assert reporting.reported_splits(table, {"test-4": ["test", 4]}) == ["test", "test-4"]
    headings = re.findall(r"^## (.*)$", page(), flags=re.M)
    assert headings[:2] == ["test", "test-4"]
    assert "train" not in headings


def test_splits_that_layers_were_chosen_on_are_marked(study):
    page, table = study
    assert "inflated by that choice" not in page()
    assert page(table=table.filter(pl.col("split") == "test")).count("inflated by that choice") == 1
    part = {"subsets": {"train-3": ["train", 3]}, "shared": {}}
    assert "inflated" in reporting.facts(table.with_columns(pl.col("split").replace("test-4", "train-3")), "train-3", part)


def test_the_worst_false_positive_is_shown_with_its_text_escaped(study):
    page, _ = study
    section = page().split("Worst false positives")[1].split("## Every layer")[0]
    assert "pair 7" in section
    assert r"sentence \*7\* of \| this" in section


def test_a_model_that_does_not_read_the_text_is_flagged_and_the_cause_named(study):
    page, _ = study
    assert "Warning" not in page()
    assert "its tokenizer is not the one it was trained with" in page(BAD)
    assert "**NO: check the tokenizer**" in page(BAD)
    assert "its weights are random" in page(BAD, {"random": 0})
    assert "not measured" in page(None)


def test_truncation_and_coverage_are_reported(study):
    page, _ = study
    assert "| m | 12 | 3 | 120 |" in page()
    assert "| glove | 50 | 0.9877 | 2 |" in page()


def test_the_curve_is_drawn(study, tmp_path):
    _, table = study
    reporting.layer_curve(table, ["test", "test-4"], tmp_path / "c.png")
    assert (tmp_path / "c.png").stat().st_size > 10_000
    without_models = table.filter(pl.col("layer").is_null())
    reporting.layer_curve(without_models, ["test"], tmp_path / "d.png")
    assert (tmp_path / "d.png").exists()


def test_too_few_components_and_shared_components_are_said(study):
    page, table = study
    assert "Fewer than 30 components" in page()
    assert "2 of them are in components that reach into another split" in page()
    plenty = table.with_columns(pl.lit(30).alias("components"))
    assert "Fewer than" not in page(table=plenty)


def test_provenance_of_every_dump(study):
    page, _ = study
    assert "| m | sha256 0123456789ab | bytes | float32, stored as float16 | tokens of 2 layers | torch 2.0 | 0a1b |" in page()
    assert "| m | seed 3 | bytes |" in page(weights={"random": 3})


@pytest.mark.parametrize(
    ("pooling", "correction", "similarity", "name"),
    [
        ("mean", "none", "cosine", "m"),
        ("mean", "none", "dot", "m dot"),
        ("mean", "centre", "dot", "m centre dot"),
        (None, None, "dice", "m dice"),
        (None, None, "cosine", "m cosine"),
    ],
)
def test_one_name_for_an_encoder_everywhere(pooling, correction, similarity, name):
    row = {"encoder": "m", "pooling": pooling, "correction": correction, "similarity": similarity}
    assert correlation.name_of(row) == name
    assert correlation.name_of(row, "-") == name.replace(" ", "-")


@pytest.mark.parametrize(("pooling", "said"), [("mean", False), ("attention", True), ("attention_2", True), ("scalar_mix", True), ("last_4", False)])
def test_a_learned_pooling_is_said_to_be_one(study, pooling, said):
    page, table = study
    renamed = table.with_columns(pl.col("pooling").replace("mean", pooling))
    assert (f"**{pooling} was learned from the labels of the train pairs**" in page(table=renamed)) == said
