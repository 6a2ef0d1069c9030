"""The stage: tokens in, shards and a manifest out; and what a failure leaves as it was."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import yaml

import stages.dump
import stages.tokenize
from pipeline.base.errors import InputError
from pipeline.formats import dumps, manifest, pairs, states, tokens
from pipeline.formats.tokens import Tokens
from pipeline.models.rwkv6 import Rwkv6ForCausalLM
from pipeline.models.rwkv6_config import Rwkv6Config
from tests.helpers import ROOT, contents, run

SIZES = {"vocab_size": 256, "hidden_size": 32, "num_hidden_layers": 2, "head_size": 8}
WIDE = {"vocab_size": 256, "hidden_size": 256, "num_hidden_layers": 1, "head_size": 64}  # 1 MB holds 976 tokens
TEXTS = ["a cat", "a dog", "a bird", "an eel", "a fly", "a cow"]
PATHS = {
    "tokens": Path("data/tokens/tiny.parquet"),
    "sentences": Path("data/pairs/sentences.parquet"),
    "out": Path("data/states/tiny"),
    "unembedding": Path("data/unembeddings/tiny.safetensors"),
    "manifest": Path("data/manifests/tiny.json"),
}


def change(file, **changes):
    """Change params.yaml or catalog.yaml; a mapping is merged into what is there."""
    values = yaml.safe_load(Path(file).read_text())
    for key, value in changes.items():
        values[key] = values[key] | value if isinstance(value, dict) else value
    Path(file).write_text(yaml.safe_dump(values))


def write_texts(texts, truncated=()):
    """Sentences, and their bytes as tokens of the model `tiny`."""
    table = pl.DataFrame({"sentence_id": np.arange(len(texts)), "text": texts})
    labels = [0.0, 1.0]
    first = pl.DataFrame(
        {"pair_id": [0, 1], "split": "test", "idx": [0, 1], "sentence1_id": 0, "sentence2_id": [1, 2]}
    ).with_columns(label=pl.Series(labels), component=0)
    pairs.write("data/pairs", first, table, {})
    ids = [np.frombuffer(text.encode(), np.uint8).astype(np.int32) for text in texts]
    pieces = {byte: chr(byte) for byte in range(256)}
    cut = np.isin(np.arange(len(texts)), truncated)
    tokens.write(PATHS["tokens"], Tokens("tiny", np.arange(len(texts)), ids, pieces, cut, {"tokenizer": "bytes"}))


@pytest.fixture
def project(tmp_path, monkeypatch, settings):
    """A folder, the current one, with settings, a random model `tiny`, sentences and their tokens."""
    monkeypatch.chdir(tmp_path)
    choices = {"dataset": "sample", "models": ["tiny"], "baselines": [], "pooling": "mean"}
    Path("params.yaml").write_text(yaml.safe_dump(choices | {"dump": vars(settings)}))
    tiny = {"random": 0, "config": {"model_type": "rwkv6", **SIZES}, "tokenizer": "bytes"}
    Path("catalog.yaml").write_text(yaml.safe_dump({"models": {"tiny": tiny}}))
    write_texts(TEXTS)
    threads = torch.get_num_threads()  # the stage sets them
    yield tmp_path
    torch.set_num_threads(threads)


def dump():
    stages.dump.main("tiny", **PATHS, device="cpu", threads=1)


def read_manifest():
    return manifest.read(PATHS["manifest"], "tiny")


def use_checkpoint(model):
    """Make the project's model a folder with these weights."""
    model.save_pretrained("weights")
    change("catalog.yaml", models={"tiny": {"path": "weights", "tokenizer": "bytes"}})


def tiny(**changes):
    return Rwkv6ForCausalLM(Rwkv6Config(**(SIZES | changes))).eval().requires_grad_(False)


def left_behind():
    """Files of a dump: in its output, its manifest, or half written in the scratch folder."""
    folders = (Path("data/states").rglob("*"), Path("data/manifests").rglob("*"), Path(".drillcore").rglob("*.part"))
    return [str(file) for files in folders for file in files if file.is_file()]


def test_the_manifest_says_what_was_dumped_and_readers_take_it(project, capsys):
    change("params.yaml", dump={"gate_tokens": 100})
    dump()
    facts = read_manifest()
    stored = dumps.read(PATHS["out"], facts)
    assert sorted(stored.sentence_ids()) == list(range(len(TEXTS)))
    assert (facts["sentences"], facts["tokens"]) == (len(TEXTS), sum(map(len, TEXTS)))
    assert facts["parts"]["weights"]["random"] == 0
    assert facts["gate"]["tokens"] == facts["tokens"]
    said = capsys.readouterr().err
    assert f"tiny: {facts['gate']['bits_per_byte']:.3f} bits per byte" in said
    assert not facts["gate"]["passed"]
    assert "as random weights do" in said
    assert "WARNING" not in said


def test_an_entry_names_its_readout_before_the_settings_do(project):
    given = yaml.safe_load(Path("catalog.yaml").read_text())["models"]["tiny"]
    found = {}
    for of_entry, of_settings in ((None, "plain"), (None, "values"), ("values", "plain"), ("plain", "values")):
        change("params.yaml", dump={"readout": of_settings})
        change("catalog.yaml", models={"tiny": given | ({} if of_entry is None else {"readout": of_entry})})
        dump()
        facts = read_manifest()
        assert facts["readout"] == facts["parts"]["readout"] == (of_entry or of_settings)
        assert list(dumps.read(PATHS["out"], facts).layers) == facts["layers"] == facts["parts"]["layers"]
        found[of_entry, of_settings] = facts["key"], facts["layers"]
    assert found["plain", "values"] == found[None, "plain"] == (found[None, "plain"][0], [0, 1, 2])
    assert found["values", "plain"] == found[None, "values"] == (found[None, "values"][0], [1, 2])
    assert found["values", "plain"] != found["plain", "values"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"readout": "token_prepending_2"},
            r"readout token_prepending_2 fills the slot up to layer 2, but the last of",
        ),
        ({"readout": "values", "layers": [0]}, r"dump\.layers is \[0\]: give all, a list of layers from 1 to 2"),
    ],
)
def test_what_a_model_has_not_to_read_ends_the_dump_before_it_writes(project, changes, message):
    change("params.yaml", dump=changes)
    with pytest.raises(InputError, match=message):
        dump()
    assert left_behind() == []


def test_the_same_again_computes_nothing_and_changes_nothing(project, monkeypatch):
    dump()
    before = contents("data")
    monkeypatch.setattr("pipeline.dump.passes.Passes.run", None)
    dump()
    assert contents("data") == before


def on_the_hub(hub_cache, seed):
    """A commit of owner/tiny with weights from a seed and the tokenizer of bytes in GPT-2's form."""
    torch.manual_seed(seed)
    tiny().save_pretrained("made")
    files = {path.name: path.read_bytes() for path in Path("made").iterdir()}
    letters = {chr(byte): byte for byte in range(33, 127)} | {"\u0120": 32}  # GPT-2's letter for a blank
    files |= {"vocab.json": json.dumps(letters).encode(), "merges.txt": b"#version: 0.2\n"}
    entry = {"hub": "owner/tiny", "tokenizer": {"kind": "gpt2", "hub": "owner/tiny"}}
    change("catalog.yaml", models={"tiny": entry})
    return hub_cache.commit("owner/tiny", files)


def tokenize():
    params = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump(params | {"tokenize": {"max_tokens": 64, "truncate": False}}))
    stages.tokenize.main("tiny", PATHS["sentences"], PATHS["tokens"])


def test_a_name_that_moves_between_two_stages_stands_for_its_first_commit(project, hub_cache, capsys):
    first = on_the_hub(hub_cache, 0)
    tokenize()
    second = on_the_hub(hub_cache, 1)
    dump()
    of_first, key = contents(PATHS["out"]), read_manifest()["key"]
    source = {"hub": "owner/tiny", "revision": "main", "commit": first}
    assert read_manifest()["sources"] == {"weights": source, "tokenizer": source}
    assert capsys.readouterr().err.count(f"WARNING: model tiny: owner/tiny@main was commit {first}") == 1
    for commit in (first, second):  # what the two commits give by themselves
        pinned = {"hub": "owner/tiny", "revision": commit}
        change("catalog.yaml", models={"tiny": pinned | {"tokenizer": {"kind": "gpt2", **pinned}}})
        tokenize()
        dump()
        assert (contents(PATHS["out"]) == of_first) == (commit == first)
        assert (read_manifest()["key"] == key) == (commit == first)  # its shards are found, not computed again


def test_a_fresh_clone_with_token_ids_of_an_older_commit_is_told_so_and_one_line_mends_it(project, hub_cache):
    first = on_the_hub(hub_cache, 0)
    tokenize()
    second = on_the_hub(hub_cache, 1)
    Path(".drillcore/revisions.json").unlink()
    with pytest.raises(InputError, match=rf"made with owner/tiny@main at commit {first}, .* of commit {second}"):
        dump()
    assert left_behind() == []
    pinned = {"hub": "owner/tiny", "revision": second}
    change("catalog.yaml", models={"tiny": pinned | {"tokenizer": {"kind": "gpt2", **pinned}}})
    tokenize()
    dump()
    assert read_manifest()["sources"]["weights"]["commit"] == second


def test_truncated_sentences_are_counted_in_the_manifest(project):
    write_texts(TEXTS, truncated=[1, 4])
    dump()
    assert read_manifest()["truncated"] == 2


def test_tokens_of_another_model_are_refused(project):
    change("catalog.yaml", models={"other": {"random": 1, "tokenizer": "bytes"}})
    with pytest.raises(InputError, match=r"tiny\.parquet is of tiny, expected other.*tokenize@other"):
        stages.dump.main("other", **PATHS, device="cpu", threads=1)
    assert left_behind() == []


def test_a_vocabulary_that_is_too_small_ends_the_dump_before_it_writes(project):
    use_checkpoint(tiny(vocab_size=64))
    with pytest.raises(InputError, match=r"token id \d+ is outside the vocabulary of 64 of model tiny"):
        dump()
    assert left_behind() == []


def test_states_that_overflow_float16_name_layer_value_limit_and_remedy_and_float32_holds_them(project):
    model = tiny()
    model.rwkv.blocks[0].pre_ln.weight *= 1e6
    use_checkpoint(model)
    message = r"layer 0 reaches \d.*, above the 65504 of float16: set dump\.store to float32"
    with pytest.raises(InputError, match=message):
        dump()
    assert left_behind() == []
    change("params.yaml", dump={"store": "float32"})
    dump()
    layers = [states.layer(batch, "layer_00") for batch in dumps.read(PATHS["out"], read_manifest()).batches]
    assert {layer.dtype for layer in layers} == {np.dtype(np.float32)}
    assert 65504 < max(np.abs(layer).max() for layer in layers) < 1e8
    assert read_manifest()["store"] == "float32"


@pytest.mark.parametrize("store", ["float16", "float32"])
def test_weights_that_are_not_numbers_are_noticed_and_named(project, store):
    model = tiny()
    model.rwkv.blocks[1].feed_forward.value.weight[0, 0] = torch.nan
    use_checkpoint(model)
    change("params.yaml", dump={"store": store})
    message = r"layer 2 holds NaN or infinity before it is stored: the weights or dump\.dtype are at fault"
    with pytest.raises(InputError, match=message):
        dump()
    assert left_behind() == []


def test_a_dump_that_fails_in_its_second_shard_leaves_the_earlier_dump_as_it_was(project):
    # a letter that only the longest sentences have will be NaN; the others fill the first shard of 1 MB
    write_texts(["ab" * 80 + str(i) for i in range(10)] + ["ab" * 90 + f"~{i}" for i in range(2)])
    change("params.yaml", dump={"batch_tokens": 1000})
    wide = {"random": 0, "config": {"model_type": "rwkv6", **WIDE}, "tokenizer": "bytes"}
    change("catalog.yaml", models={"tiny": wide})
    dump()
    assert len(read_manifest()["shards"]) > 1
    before = contents("data")
    model = tiny(**WIDE)
    model.rwkv.embeddings.weight[ord("~")] = torch.nan
    use_checkpoint(model)
    with pytest.raises(InputError, match=r"layer 0 holds NaN"):
        dump()
    assert contents("data") == before
    assert not list(Path(".drillcore").rglob("*.part"))


def test_a_dump_with_fewer_shards_leaves_none_of_the_earlier_ones(project):
    dump()
    (PATHS["out"] / "shard-00007.arrow").write_bytes((PATHS["out"] / "shard-00000.arrow").read_bytes())
    dump()
    names = [shard["name"] for shard in read_manifest()["shards"]]
    assert sorted(path.name for path in PATHS["out"].iterdir()) == names == ["shard-00000.arrow"]


@pytest.mark.parametrize("keep", ["tokens", "pooled", "state"])
@pytest.mark.parametrize("kind", ["random", "folder"])
def test_weights_in_several_places_change_neither_the_key_nor_a_byte(project, kind, keep, capsys):
    change("params.yaml", dump={"keep": keep, "gate_tokens": 100})
    if kind == "folder":
        use_checkpoint(Rwkv6ForCausalLM(Rwkv6Config(**SIZES)))
    dump()
    before = contents("data")
    shutil.rmtree(".drillcore")
    capsys.readouterr()
    stages.dump.main("tiny", **PATHS, device="cpu=200KB,disk", threads=1)
    said = capsys.readouterr().err
    assert re.search(r"model tiny: weights are in memory of the host \(0\..* MB\), on the disk \(0\..* MB\)\n", said)
    assert "finished before" not in said
    assert contents("data") == before


def test_what_is_wrong_with_the_places_is_said_before_anything_is_read(project):
    PATHS["tokens"].unlink()
    with pytest.raises(InputError, match=r"device 'cpu,tpu' names 'tpu': expected cuda:0 and so on"):
        stages.dump.main("tiny", **PATHS, device="cpu,tpu", threads=1)


def test_with_a_url_as_store_the_folder_says_where_the_shards_are_and_readers_go_there(project, monkeypatch, folders):
    dump()
    local, facts = dumps.read(PATHS["out"], read_manifest()), read_manifest()
    shards = [list(local.batches), contents(PATHS["unembedding"])]
    monkeypatch.setenv("DRILLCORE_STORE", folders)
    dump()
    assert [path.name for path in PATHS["out"].iterdir()] == ["location.json"]
    assert read_manifest() == facts, "the manifest does not say where"
    elsewhere = dumps.read(PATHS["out"], facts)
    assert elsewhere.batches.url == f"{folders}/dumps/{facts['key']}"
    assert all(a.equals(b) for a, b in zip(elsewhere.batches, shards[0], strict=True))
    assert contents(PATHS["unembedding"]) == shards[1]
    before = contents("data")
    monkeypatch.setattr("pipeline.dump.passes.Passes.run", None)
    dump()
    assert contents("data") == before
    monkeypatch.delenv("DRILLCORE_STORE")
    dump()
    assert [path.name for path in PATHS["out"].iterdir()] == ["shard-00000.arrow"]


def test_a_store_that_cannot_be_written_to_ends_the_dump_before_the_model_is_loaded(project, monkeypatch):
    monkeypatch.setattr("pipeline.models.spread.load", None)
    for store, message in (("s4://bucket/x", "no protocol 's4'"), ("params.yaml/x", "x cannot be a folder: .* a file")):
        monkeypatch.setenv("DRILLCORE_STORE", store)
        with pytest.raises(InputError, match=message):
            dump()


def test_two_ranks_of_the_stage_and_then_all_of_it(project, monkeypatch, capsys):
    write_texts(["ab" * 80 + str(i) for i in range(10)] + ["ab" * 90 + f"~{i}" for i in range(2)])
    change("params.yaml", dump={"batch_tokens": 1000})
    wide = {"random": 0, "config": {"model_type": "rwkv6", **WIDE}, "tokenizer": "bytes"}
    change("catalog.yaml", models={"tiny": wide})
    dump()
    before = contents("data")
    assert len(read_manifest()["shards"]) > 1
    shutil.rmtree(".drillcore/dumps")
    for path in (PATHS["manifest"], PATHS["unembedding"]):
        path.unlink()
    shutil.rmtree(PATHS["out"])
    stages.dump.main("tiny", **PATHS, device="cpu", threads=1, rank=1, world_size=2)
    assert "rank 1: done; " in capsys.readouterr().err
    assert left_behind() == []
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    dump()
    assert contents("data") == before
    monkeypatch.setenv("WORLD_SIZE", "0")
    with pytest.raises(InputError, match="a world of 0 "):
        dump()


def test_the_command_ends_in_one_line_for_bad_input_and_takes_the_options_of_dvc_yaml(project):
    options = [item for name, path in PATHS.items() for item in (f"--{name}", str(path))]

    def command(model):
        arguments = ["python", "-m", "stages.dump", "--model", model, *options, "--device", "cpu"]
        return run(project, *arguments, check=False, PYTHONPATH=str(ROOT))

    unknown = command("tinny")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr.startswith("error: no model 'tinny' in catalog.yaml: did you mean tiny?")
    assert len(unknown.stderr.splitlines()) == 1
    done = command("tiny")
    assert done.returncode == 0, done.stderr
    assert json.loads(PATHS["manifest"].read_text())["model"] == "tiny"
