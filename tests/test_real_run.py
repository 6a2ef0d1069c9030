"""The stages, one after the other, on real MRPC pairs with a small trained RWKV-6 and GloVe."""

import json

import polars as pl
import pytest
import torch

from tests.study import quick_params, run_all, write_settings

PAIRS_A_SPLIT = 12  # of 5,801: the whole run takes minutes; docs/results has its figures


@pytest.fixture(scope="module")
def study(testdata, tmp_path_factory):
    """A folder in which all stages have run."""
    folder = tmp_path_factory.mktemp("study")
    mrpc = {
        "path": str(testdata / "mrpc.parquet"),
        "columns": {"sentence1": "glue_sentence1", "sentence2": "glue_sentence2"},
        "subsets": {"train-5": "train[:5]"},
    }
    weights = testdata / "rwkv/tiny-rwkv-6v0-3m-Q5_1.safetensors"
    glove = {"kind": "vectors", "path": str(testdata / "glove.6B.50d.trimmed.txt")}
    catalog = {
        "datasets": {"mrpc": mrpc},
        "models": {"rwkv6-3m": {"path": str(weights), "tokenizer": "utf-16-le"}},
        "baselines": {"overlap": {"kind": "overlap"}, "glove": glove},
    }
    changes = {"dataset": "mrpc", "models": ["rwkv6-3m"], "baselines": ["overlap", "glove"]}
    changes["prepare"] = {"limit": PAIRS_A_SPLIT}
    changes["dump"] = quick_params()["dump"] | {"gate_tokens": 2000}
    write_settings(folder, catalog, **changes)
    threads = torch.get_num_threads()
    run_all(folder)
    torch.set_num_threads(threads)
    return folder


def test_the_model_reads_utf16_and_every_layer_is_scored(study):
    manifest = json.loads((study / "data/manifests/rwkv6-3m.json").read_text())
    assert manifest["gate"]["passed"]
    assert manifest["layers"] == list(range(13))
    scores = pl.read_parquet(study / "data/scores.parquet")
    assert scores.filter(encoder="rwkv6-3m")["layer"].n_unique() == 13
    assert len(scores) == 3 * PAIRS_A_SPLIT * (13 + 4 + 1)
    assert scores["score"].is_finite().all()


def test_subset_and_coverage_reach_the_report(study):
    metrics = json.loads((study / "results/metrics.json").read_text())
    assert metrics["split"] == "test"
    page = (study / "results/report.md").read_text()
    assert "## train-5" in page
    assert "| glove | 50 |" in page
    assert "Warning" not in page


def test_every_layer_is_probed_beside_word_overlap(study):
    table = pl.read_csv(study / "results/probes.csv")
    assert table.filter(encoder="rwkv6-3m", split="test", probe="bilinear")["layer"].to_list() == list(range(13))
    assert set(table["encoder"]) == {"rwkv6-3m", "overlap", "glove"}
    assert set(table["split"]) == {"validation", "test"}
    assert table["accuracy"].is_between(0, 1).all()


def test_every_pooling_of_the_sweep_is_compared_and_where_attention_looked_is_kept(study):
    table = pl.read_csv(study / "results/poolings.csv")
    assert set(table["pooling"]) == {"mean", "sif", "attention", "diagonal", "pairs_of_layers"}
    assert set(table["split"]) == {"validation", "test"}
    weights = pl.read_parquet(study / "data/sweeps/rwkv6-3m/attention.parquet")
    sums = weights.group_by("sentence_id").agg(pl.col("layer_00", "layer_12").sum())
    largest = sums.select((pl.col("layer_00", "layer_12") - 1).abs().max()).row(0)
    assert largest == pytest.approx((0, 0), abs=1e-5)
    assert "What attention looks at" in (study / "results/poolings.md").read_text()
