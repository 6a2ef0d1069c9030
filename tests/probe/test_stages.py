"""The stages probe and probe_baselines: files in, files out."""

import numpy as np
import pytest
import yaml

from pipeline.formats import baselines, pairs, probes
from pipeline.probe import run
from stages import probe, probe_baselines
from tests.helpers import contents
from tests.probe.making import SETTINGS, pairs_of, write

CONFIG = {"model_type": "rwkv6", "vocab_size": 8}


@pytest.fixture
def study(tmp_path, monkeypatch, rng):
    """A folder with settings, pairs, vectors and two baselines."""
    monkeypatch.chdir(tmp_path)
    params = {"dataset": "toy", "models": ["toy", "control"], "baselines": ["words", "vecs"], "pooling": "mean"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params | {"probe": vars(SETTINGS)}))
    catalog = {"toy": {"path": "."}, "control": {"random": 0, "config": CONFIG, "tokenizer": "bytes"}}
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump({"models": catalog}))
    table = pairs_of(rng)
    sentences = table.select(sentence_id="pair_id", text="split")
    pairs.write(tmp_path / "pairs", table, sentences, {})
    for name in ("toy", "control"):
        write(tmp_path / f"{name}.parquet", {0: rng.standard_normal((200, 4))}, name)
    baselines.write(tmp_path / "baselines/words", "words", baselines.Result(scores={"dice": rng.random(100)}))
    baselines.write(tmp_path / "baselines/vecs", "vecs", baselines.Result(vectors=rng.standard_normal((200, 4))))
    return tmp_path


def probed(study, name, **section):
    """Run the stage probe on a model."""
    params = yaml.safe_load((study / "params.yaml").read_text())
    params["probe"] |= section
    (study / "params.yaml").write_text(yaml.safe_dump(params))
    probe.main(name, study / f"{name}.parquet", study / "pairs/pairs.parquet", study / "out.parquet")
    return probes.read(study / "out.parquet", name, 100, f"probe@{name}")


def test_the_stage_probe_writes_what_the_room_computes(study):
    found = probed(study, "toy")
    table = pairs.read_pairs(study / "pairs/pairs.parquet")
    run.probe_model(study / "toy.parquet", study / "expected.parquet", "toy", table, SETTINGS)
    assert (study / "out.parquet").read_bytes() == (study / "expected.parquet").read_bytes()
    assert len(found.keys) == 4
    assert not list(study.glob("*.part"))


def test_a_model_with_random_weights_is_probed_where_it_is_asked_for(study, capsys):
    found = probed(study, "control")
    assert found.left_out == run.CONTROL
    assert len(found.keys) == 0
    assert "control: not probed, it is a control with random weights" in capsys.readouterr().err
    assert len(probed(study, "control", controls=True).keys) == 4


def test_the_stage_probe_baselines_writes_a_file_for_each_and_leaves_no_other(study):
    out = study / "probed"
    out.mkdir()
    (out / "gone.parquet").write_text("of an earlier run")
    probe_baselines.main(study / "baselines", study / "pairs/pairs.parquet", out)
    assert {path.split("/")[-1] for path in contents(out)} == {"words.parquet", "vecs.parquet"}
    measures = probes.read(out / "words.parquet", "words", 100, "probe_baselines")
    assert measures.keys["probe"].to_list() == ["measures", "measures"]
    assert np.isfinite(measures.scores).all()
