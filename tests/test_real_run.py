"""The stages, one after the other, on real MRPC pairs with a small trained RWKV-6 and GloVe."""

import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from stages import baseline, compare, correlate, dump, fit, pool, prepare, report, score, sweep, tokenize

PAIRS_A_SPLIT = 12  # of 5,801: the whole run takes a quarter of an hour; docs/mrpc.md has its figures


@pytest.fixture(scope="module")
def study(testdata, tmp_path_factory):
    """A folder with params.yaml and catalog.yaml of its own, in which all stages have run."""
    folder = tmp_path_factory.mktemp("study")
    catalog = {
        "datasets": {
            "mrpc": {
                "path": str(testdata / "mrpc.parquet"),
                "columns": {"sentence1": "glue_sentence1", "sentence2": "glue_sentence2"},
                "subsets": {"train-5": "train[:5]"},
            }
        },
        "models": {"rwkv6-3m": {"path": str(testdata / "rwkv/tiny-rwkv-6v0-3m-Q5_1.safetensors"), "tokenizer": "utf-16-le"}},
        "baselines": {"overlap": {"kind": "overlap"}, "glove": {"kind": "vectors", "path": str(testdata / "glove.6B.50d.trimmed.txt")}},
    }
    params = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text())
    params |= {"dataset": "mrpc", "models": ["rwkv6-3m"], "baselines": ["overlap", "glove"], "prepare": {"limit": PAIRS_A_SPLIT}}
    params["dump"]["gate_tokens"] = 2000
    params["correlate"]["resamples"] = 200
    params["fit"] |= {"epochs": 2, "runs": 2}
    params["sweep"] = {"poolings": ["mean", "sif", "attention", "diagonal", "pairs_of_layers"], "corrections": ["none", "centre"], "similarities": ["cosine"]}
    (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    data, results = folder / "data", folder / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        prepare.main(data / "pairs")
        pairs, sentences = data / "pairs/pairs.parquet", data / "pairs/sentences.parquet"
        tokenize.main("rwkv6-3m", sentences, data / "tokens/rwkv6-3m.parquet")
        dump.main("rwkv6-3m", data / "tokens/rwkv6-3m.parquet", sentences, data / "states", data / "manifests/rwkv6-3m.json")
        fit.main("rwkv6-3m", data / "states", pairs, data / "fitted/rwkv6-3m", device="cpu", threads=1)
        inputs = data / "states", data / "tokens/rwkv6-3m.parquet", pairs, data / "fitted/rwkv6-3m"
        pool.main("rwkv6-3m", *inputs, data / "pooled/rwkv6-3m/vectors.parquet")
        sweep.main("rwkv6-3m", *inputs, data / "sweeps/rwkv6-3m")
        for name in ("overlap", "glove"):
            baseline.main(name, pairs, sentences, data / "baselines" / name)
        score.main(pairs, data / "pooled", data / "baselines", data / "scores.parquet")
        correlate.main(pairs, data / "pairs/info.json", data / "scores.parquet", results / "correlations.csv", results / "metrics.json")
        report.main(
            data / "pairs",
            results / "correlations.csv",
            data / "scores.parquet",
            data / "manifests",
            data / "baselines",
            results / "report.md",
            results / "l.png",
        )
        inputs = data / "pairs", data / "sweeps", data / "fitted", data / "tokens"
        compare.main(*inputs, results / "poolings.csv", results / "poolings-by-layer.csv", results / "poolings.md", results / "poolings.png")
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
    assert set(metrics["splits"]) == {"train", "validation", "test", "train-5"}
    page = (study / "results/report.md").read_text()
    assert "## train-5" in page
    assert "| glove | 50 |" in page
    assert "Warning" not in page


def test_every_pooling_of_the_sweep_is_compared_and_where_attention_looked_is_kept(study):
    table = pl.read_csv(study / "results/poolings.csv")
    assert set(table["pooling"]) == {"mean", "sif", "attention", "diagonal", "pairs_of_layers"}
    assert set(table["split"]) == {"validation", "test"}
    weights = pl.read_parquet(study / "data/sweeps/rwkv6-3m/attention.parquet").group_by("sentence_id").agg(pl.col("layer_00", "layer_12").sum())
    assert weights.select((pl.col("layer_00", "layer_12") - 1).abs().max()).row(0) == pytest.approx((0, 0), abs=1e-5)
    assert "What attention looks at" in (study / "results/poolings.md").read_text()
