"""report.html without a browser: its figures are those of the tables, and nothing in it acts or asks for anything."""

import base64
import hashlib
import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from pipeline.formats.tables import CORRELATIONS, schema_of
from pipeline.page import browser
from pipeline.page.html import page
from pipeline.page.packed import decoded, unpacked
from tests.helpers import pairs_table
from tests.page.making import HOSTILE, Elements, costs, study, weights
from tests.report import making


@pytest.fixture
def made(rng):
    return study(rng)


def test_figures_of_curves_and_floors_are_those_of_the_table(made):
    parsed, table = Elements(page(made)), made.material.table
    layers = parsed.table("layers")
    curves = table.filter(pl.col("layer").is_not_null(), pl.col("split") != "train")
    assert len(layers) == len(curves)
    for row in curves.iter_rows(named=True):
        [shown] = layers.filter(split=row["split"], group=row["name"], layer=row["layer"]).rows(named=True)
        assert shown["text"] == making.bracketed(row, "spearman")
        assert shown["auc"] == making.bracketed(row, "auc")
        assert shown["rho"] == pytest.approx(row["spearman"], rel=1e-5)
        assert shown["selected"] == row["selected"]
    floors = parsed.table("floors")
    for row in table.filter(pl.col("layer").is_null(), pl.col("split") != "train").iter_rows(named=True):
        [shown] = floors.filter(split=row["split"], group=row["name"]).rows(named=True)
        assert shown["text"] == making.bracketed(row, "spearman")
        assert shown["label"] == f"{shown['text'].split()[0]} {row['name']}"


def test_differences_are_those_of_the_tables_with_their_p(made):
    parsed = Elements(page(made))
    reference = parsed.table("reference")
    rows = made.material.table.filter(pl.col("difference").is_not_null(), pl.col("split") != "train")
    assert len(reference) == len(rows)
    for row in rows.iter_rows(named=True):
        [shown] = reference.filter(split=row["split"], group=row["name"]).rows(named=True)
        assert shown["text"] == making.bracketed(row, "difference", "+")
        assert shown["p"] == f"{row['difference_p']:.2g}"
        assert shown["verdict"] == "not significant"
    mean = parsed.table("mean")
    rows = made.poolings.filter(family="pooling", against="mean")
    assert len(mean) == len(rows)
    assert sorted(mean["text"]) == sorted(
        making.bracketed(row, "difference", "+") for row in rows.iter_rows(named=True)
    )


def test_heat_and_cost_are_those_of_their_tables(rng, made):
    made = replace(made, costs=costs(rng))
    parsed = Elements(page(made))
    heat = parsed.table("heat")
    for row in made.curves.iter_rows(named=True):
        name = row["pooling"].replace("_", " ")
        [shown] = heat.filter(cell=row["encoder"], pooling=name, layer=str(row["layer"]), split=row["split"]).rows(
            named=True
        )
        assert shown["text"].startswith(f"{row['spearman']:.3f} (runs ")
        assert shown["chosen"] == (row["layer"] == 1)
    cost = parsed.table("cost")
    single = made.costs.filter(batch_size=1)
    assert len(cost) == 3 * len(single)
    assert sorted(set(cost["ms"])) == pytest.approx(sorted(single["ms"]), rel=1e-5)


def test_probes_are_those_of_their_table_and_the_floor_is_beside_each(made):
    shown = Elements(page(made)).table("probes")
    assert len(shown) == len(made.probes)
    for row in made.probes.iter_rows(named=True):
        here = pl.col("layer").eq_missing(row["layer"])
        [one] = shown.filter(here, split=row["split"], name=row["encoder"]).rows(named=True)
        assert one["text"] == making.bracketed(row, "accuracy")
        assert one["cell"] == "bilinear: accuracy"


def test_a_histogram_counts_each_pair_of_a_class_once(made):
    found = Elements(page(made)).table("histograms")
    pairs = made.material.pairs
    for (split, label), rows in found.filter(pl.col("start") < pl.col("end")).group_by("split", "label"):
        here = pairs.filter(split="test")[:20] if split == "test-20" else pairs.filter(split=split)
        expected = len(here.filter(label=float(label.split()[1])))
        assert set(rows.group_by("cell").agg(pl.col("pairs").sum())["pairs"]) == {expected}


def test_scores_labels_and_sentences_of_the_browser_are_those_of_the_study(made):
    data = Elements(page(made)).json("pairs-data")
    pairs, texts = made.material.pairs, made.material.sentences["text"]
    first, second = unpacked(data["first"], "u4"), unpacked(data["second"], "u4")
    assert [data["sentences"][place] for place in first] == texts.gather(pairs["sentence1_id"]).to_list()
    assert [data["sentences"][place] for place in second] == texts.gather(pairs["sentence2_id"]).to_list()
    assert data["labels"] == pairs["label"].to_list()
    assert [data["splits"][place] for place in unpacked(data["split"], "u1")] == pairs["split"].to_list()
    assert len(data["scored"]) == len(made.scored)
    for shown, one in zip(data["scored"], made.scored):
        assert (shown["series"], shown["layer"]) == (one.series, one.layer)
        np.testing.assert_allclose(decoded(shown), np.round(one.values, shown["decimals"]), atol=1e-12)


def test_what_comes_from_data_is_text(rng):
    made = study(rng, sentences=[HOSTILE] * 240)
    table = made.material.table.with_columns(pl.col("name").str.replace("^m$", HOSTILE))
    info = made.material.info | {"dataset": HOSTILE}
    made = replace(made, material=replace(made.material, table=table, info=info))
    text = page(made)
    parsed = Elements(text)
    assert len(parsed.scripts) == 6  # data, specs, pairs and three programs
    assert [name for name, _ in parsed.found].count("img") == 0
    assert parsed.json("pairs-data")["sentences"][0].startswith("</script><script>window.hacked = 1</script>")
    assert "\x1b" not in text
    assert "\u2028" not in text


def test_nothing_is_asked_of_a_network_and_no_other_script_may_run(made):
    text = page(made)
    parsed = Elements(text)
    for _, attributes in parsed.found:
        for name in ("src", "href", "srcset", "action", "data"):
            assert not re.match(r"(\w+:)?//", attributes.get(name) or "")
        assert not any(name.startswith("on") for name in attributes)
    [policy] = [found["content"] for name, found in parsed.found if name == "meta" and "http-equiv" in found]
    programs = [script for name, script in parsed.scripts.items() if name.startswith("script ")]
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in programs}
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert set(rules["script-src"].split()) == hashes


def test_what_nobody_has_made_says_which_command_makes_it(rng, made):
    text = page(made)
    assert "dvc --cd cost repro -f" in text
    assert "dvc --cd geometry repro -f" in text
    assert "dvc --cd cost repro -f" not in page(replace(made, costs=costs(rng)))


def test_a_verdict_has_a_sign_and_words(made):
    text = page(made)
    assert re.search(r">✗</span> <b>contradicted</b>: m", text)
    assert re.search(r">–</span> <b>not tested here</b>: n", text)


@pytest.mark.parametrize("case", ["baselines alone", "one layer", "grades", "a control", "no train", "no reference"])
def test_studies_of_every_kind_have_a_page(rng, case):
    if case == "baselines alone":
        table = making.correlations(rng, making.ENCODERS[6:])
        text = page(study(rng, (), table))
        assert "There are no models to judge the paper by" in text
        assert Elements(text).json("data")["layers"] == {}
    elif case == "one layer":
        table = making.correlations(rng, making.ENCODERS[:1] + making.ENCODERS[6:], chosen=0)
        assert len(Elements(page(study(rng, ("m",), table))).table("layers")) == 3
    elif case == "grades":
        made = study(rng, graded=True)
        columns = ["positives", "auc", "auc_low", "auc_high", "accuracy", "f1", "balanced_accuracy", "mcc"]
        table = made.material.table.with_columns(
            *[pl.lit(None, schema_of(CORRELATIONS)[name]).alias(name) for name in columns]
        )
        parsed = Elements(page(replace(made, material=replace(made.material, table=table))))
        assert parsed.table("histograms")["label"].n_unique() == 3
        assert set(parsed.table("layers")["auc"]) == {""}
    elif case == "a control":
        assert "the labels are permuted within each split (seed 7)" in page(study(rng, control={"permute_labels": 7}))
    elif case == "no train":
        table = making.correlations(rng, sizes={"train": 50, "validation": 30, "test": 40, "test-20": 20}).filter(
            split="test"
        )
        assert set(Elements(page(study(rng, table=table))).table("layers")["split"]) == {"test"}
    else:
        table = making.correlations(rng, reference=None)
        made = study(rng, table=table)
        assert "names one" in page(replace(made, method=replace(made.method, reference=None)))


def test_a_page_of_5801_pairs_and_31_layers_has_at_most_8_mb(rng):
    encoders = [(model, "mean", "none", layer, "cosine") for model in "mnopq" for layer in range(31)]
    table = making.correlations(rng, [*encoders, *making.ENCODERS[6:]])
    made = study(rng, ("m", "n"), table)
    words = np.array([f"word{number}" for number in range(15_000)])
    texts = [" ".join(words[rng.zipf(1.3, 22) % len(words)]) for _ in range(10_944)]
    ids = rng.integers(0, len(texts), (5801, 2))
    labels, splits = rng.integers(0, 2, 5801), ["train"] * 3668 + ["validation"] * 408 + ["test"] * 1725
    pairs = pairs_table(labels, splits, ids[:, 0], ids[:, 1])
    sentences = pl.DataFrame({"sentence_id": range(len(texts)), "text": texts})
    scores = replace(made.material.scores, values=rng.random((len(made.material.scores.keys), 5801)))
    material = replace(made.material, pairs=pairs, sentences=sentences, scores=scores)
    scored = [replace(one, values=rng.random(5801)) for one in made.scored]
    made = replace(made, weights=weights(rng, texts, ("m", "n")))
    text = page(replace(made, material=material, scored=scored))
    assert len(text.encode()) < 8e6
    data = Elements(text).json("pairs-data")
    assert len(data["pairs"]) == 5801
    assert len([one for one in data["scored"] if one["series"] == "m"]) == 31


def test_too_many_pairs_are_drawn_evenly_from_each_split_and_the_page_says_so(rng, monkeypatch):
    monkeypatch.setattr(browser, "MOST_PAIRS", 60)
    made = study(rng)
    text = page(made)
    data = Elements(text).json("pairs-data")
    assert [sum(unpacked(data["split"], "u1") == place) for place in range(3)] == [25, 15, 20]
    assert "60 of 120 pairs are here" in text
