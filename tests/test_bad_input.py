"""What every stage says when its input is wrong: one clear error with the value, the limit and the remedy, and nothing lost."""

import json
import os
import pickle
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import stages.baseline
import stages.correlate
import stages.dump
import stages.pool
import stages.prepare
import stages.score
import stages.tokenize
from pipeline import baselines, checkpoints, cli, correlation, dumping, models, pairs, pooling, scoring, scratch, shards, tokenizers, vectors
from pipeline.catalog import Baseline, Dataset, Model
from pipeline.rwkv6 import Rwkv6Config, Rwkv6ForCausalLM
from pipeline.tokenizers import Tokenize, tokenizer_of

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "head_size": 8}
WIDE = {"vocab_size": 256, "hidden_size": 256, "num_hidden_layers": 1, "head_size": 64}  # 1 MB holds the states of 976 tokens
GOOD = "split,sentence1,sentence2,label\ntrain,a cat,a dog,1\ntrain,a bird,a dog,0\ntest,an eel,a fly,1\ntest,a cow,an eel,0\n"
ALL = pairs.Prepare(limit=None)
OUTSIDE = "nobody-at-all/nothing-at-all"  # no repository; with the hub offline its name does not matter


def contents(*paths):
    """Every file under some paths, with its bytes."""
    files = [file for path in map(Path, paths) for file in ([path] if path.is_file() else sorted(path.rglob("*"))) if file.is_file()]
    return {str(file): file.read_bytes() for file in files}


def prepare(tmp_path, text, ending=".csv", **fields):
    file = tmp_path / f"given{ending}"
    file.write_text(text) if isinstance(text, str) else file.write_bytes(text)
    return pairs.prepare(Dataset(path=str(file), **fields), "toy", ALL)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder with the committed settings, a data set, a model and two baselines, and the outputs of `prepare`."""
    monkeypatch.chdir(tmp_path)
    committed = yaml.safe_load((ROOT / "params.yaml").read_text())
    changes = {"dataset": "toy", "models": ["tiny"], "baselines": ["overlap", "random"], "pooling": "mean", "prepare": {"limit": None}}
    changes["dump"] = {"dtype": "float32", "store": "float16", "layers": "all", "keep": "tokens", "batch_tokens": 64, "shard_mb": 1, "gate_tokens": 0}
    Path("params.yaml").write_text(yaml.safe_dump(committed | changes))
    tiny = {"random": 0, "config": {"model_type": "rwkv6", **SIZES, "vocab_size": 256}, "tokenizer": "bytes"}
    catalog = {
        "datasets": {"toy": {"path": "toy.csv"}},
        "models": {"tiny": tiny},
        "baselines": {"overlap": {"kind": "overlap"}, "random": {"kind": "random", "dim": 8}},
    }
    Path("catalog.yaml").write_text(yaml.safe_dump(catalog))
    Path("toy.csv").write_text(GOOD)
    stages.prepare.main(Path("data/pairs"))
    threads = torch.get_num_threads()  # the dump stage sets them
    yield tmp_path
    torch.set_num_threads(threads)


def settings(file, **changes):
    """Change params.yaml or catalog.yaml of the project; a mapping is merged into what is there."""
    values = yaml.safe_load(Path(file).read_text())
    for key, value in changes.items():
        values[key] = values[key] | value if isinstance(value, dict) else value
    Path(file).write_text(yaml.safe_dump(values))


def run_tokenize():
    stages.tokenize.main("tiny", Path("data/pairs/sentences.parquet"), Path("data/tokens/tiny.parquet"))


def run_dump():
    paths = {
        "tokens": "data/tokens/tiny.parquet",
        "sentences": "data/pairs/sentences.parquet",
        "out": "data/states/tiny",
        "manifest": "data/manifests/tiny.json",
    }
    stages.dump.main("tiny", **{name: Path(path) for name, path in paths.items()}, device="cpu", threads=1)


def run_pool():
    inputs = "data/states/tiny", "data/tokens/tiny.parquet", "data/pairs/pairs.parquet", "data/fitted/tiny"
    stages.pool.main("tiny", *map(Path, inputs), Path("data/pooled/tiny/vectors.parquet"))


def run_baseline(name):
    stages.baseline.main(name, Path("data/pairs/pairs.parquet"), Path("data/pairs/sentences.parquet"), Path("data/baselines") / name)


def run_score():
    stages.score.main(Path("data/pairs/pairs.parquet"), Path("data/pooled"), Path("data/baselines"), Path("data/scores.parquet"))


@pytest.fixture
def finished(project):
    """The project with every stage up to `score` run."""
    run_tokenize()
    run_dump()
    run_pool()
    run_baseline("overlap")
    run_baseline("random")
    run_score()
    return project


# prepare


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_an_empty_file_is_refused(tmp_path, ending):
    with pytest.raises(ValueError, match=rf"dataset toy: .*given\{ending} is empty: expected a header and at least one pair"):
        prepare(tmp_path, "", ending)


@pytest.mark.parametrize(("text", "ending"), [("sentence1,sentence2,label\n", ".csv"), ("sentence1\tsentence2\tlabel\n", ".tsv")])
def test_a_header_without_pairs_is_refused(tmp_path, text, ending):
    with pytest.raises(ValueError, match=r"dataset toy, split all, is empty: expected at least one pair"):
        prepare(tmp_path, text, ending)


def test_a_parquet_file_without_rows_is_refused(tmp_path):
    pl.DataFrame(schema={"sentence1": pl.String, "sentence2": pl.String, "label": pl.Int64}).write_parquet(tmp_path / "none.parquet")
    with pytest.raises(ValueError, match=r"dataset toy, split all, is empty: expected at least one pair"):
        pairs.prepare(Dataset(path=str(tmp_path / "none.parquet")), "toy", ALL)


def test_one_empty_split_is_named(tmp_path):
    (tmp_path / "train.csv").write_text("sentence1,sentence2,label\na,b,1\nc,d,0\n")
    (tmp_path / "dev.csv").write_text("sentence1,sentence2,label\n")
    files = {"train": str(tmp_path / "train.csv"), "dev": str(tmp_path / "dev.csv")}
    with pytest.raises(ValueError, match=r"dataset toy, split dev, is empty"):
        pairs.prepare(Dataset(path=files), "toy", ALL)


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("\n\n", ".csv"),
        ("sentence1,sentence2,label\na,b,1\nc,d,0,surplus,fields\n", ".csv"),
        ("sentence1\tsentence2\tlabel\na\tb\t1\nc\td\t0\tsurplus\n", ".tsv"),
        ('{"sentence1": "a", "sentence2": "b", "label": 1}\n{"sentence1": \n', ".jsonl"),
        (b"PAR1 that is all", ".parquet"),
        (b"sentence1,sentence2,label\n\xff\xfe,b,1\nc,d,0\n", ".csv"),
    ],
)
def test_a_file_that_cannot_be_read_as_its_ending_says_is_named(tmp_path, text, ending):
    with pytest.raises(ValueError, match=rf"dataset toy: .*given\{ending}"):
        prepare(tmp_path, text, ending)


def test_an_unknown_kind_of_file_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match=r"cannot read .*given\.xlsx, its ending is not one of \.csv, \.tsv, \.jsonl, \.parquet"):
        prepare(tmp_path, GOOD, ".xlsx")


def test_a_missing_file_is_named_with_the_place_that_was_looked_at(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"dataset toy: .*nowhere\.csv does not exist \(looked at /.*nowhere\.csv\)\. Mend `path`"):
        pairs.prepare(Dataset(path=str(tmp_path / "nowhere.csv")), "toy", ALL)


def test_a_missing_column_is_named_with_those_there_are(tmp_path):
    with pytest.raises(ValueError, match=r"dataset toy has no column sentence2, label: it has sentence1, text2, score\. Say which is which with `columns"):
        prepare(tmp_path, "sentence1,text2,score\na,b,1\n")


def test_a_column_of_the_catalogue_that_the_file_lacks_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"dataset toy has no column grade: it has split, sentence1, sentence2, label\. Mend `columns`"):
        prepare(tmp_path, GOOD, columns={"label": "grade"})


def test_a_column_that_pairs_do_not_have_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"columns.* unknown labels.*sentence1, sentence2, label, split, idx"):
        prepare(tmp_path, "number,labels,sentence1,sentence2,label\n7,3,a,b,1\n8,3,c,d,0\n", columns={"labels": "labels", "idx": "number"})


def test_a_split_of_the_catalogue_that_the_file_lacks_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"dataset toy has no split valid: it has test, train\. Mend `splits`"):
        prepare(tmp_path, GOOD, splits={"train": "train", "dev": "valid"})


@pytest.mark.parametrize("text", ["", '""', '"  "', '"\t"', "\u00a0"])
def test_an_empty_sentence_is_refused_with_its_row(tmp_path, text):
    with pytest.raises(ValueError, match=r"dataset toy: sentence2 is empty in 2 pairs, first in split test, idx 4: remove or fill them"):
        prepare(tmp_path, GOOD + f"test,a cow,{text},0\ntest,a hen,{text},1\n")


def test_a_column_of_numbers_is_no_text(tmp_path):
    with pytest.raises(ValueError, match=r"dataset toy: column sentence1 holds Int64, expected text"):
        prepare(tmp_path, "sentence1,sentence2,label\n1,a,1\n2,b,0\n")


@pytest.mark.parametrize("rows", [0, 150])  # a reader that guesses the type from the first hundred rows must not trip over later ones
def test_a_label_that_is_text_is_shown_with_its_row(tmp_path, rows):
    lines = [f"train,sentence {i},other,{i % 2}\n" for i in range(rows)]
    with pytest.raises(ValueError, match=rf"dataset toy: label 'yes' \(split train, idx {rows + 2}\) is not a number: map it to 0/1 or to a grade"):
        prepare(tmp_path, "split,sentence1,sentence2,label\n" + "".join(lines) + "train,a,b,1\ntrain,c,d,0\ntrain,e,f,yes\n")


@pytest.mark.parametrize(("label", "shown"), [("", "None"), ("nan", "nan"), ("inf", "inf")])
def test_a_label_that_is_missing_or_not_finite_is_shown_with_its_row(tmp_path, label, shown):
    with pytest.raises(ValueError, match=rf"dataset toy: label '?{shown}'? \(split test, idx 4\) is not a number"):
        prepare(tmp_path, GOOD + f"test,a hen,a cow,{label}\n")


def test_one_label_only_is_refused_with_the_split(tmp_path):
    with pytest.raises(
        ValueError, match=r"dataset toy: all 3 labels of split hidden are -1, so nothing can be correlated\. Hidden test labels\? List .*`splits`"
    ):
        prepare(tmp_path, GOOD + "hidden,a,b,-1\nhidden,c,d,-1\nhidden,e,f,-1\n")


def test_an_idx_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"dataset toy.*idx.*en-12"):
        prepare(tmp_path, "idx,sentence1,sentence2,label\n11,a,b,1\nen-12,c,d,0\n")


@pytest.mark.parametrize("fields", [{}, {"hub": OUTSIDE, "path": "toy.csv"}])
def test_a_dataset_has_exactly_one_source(fields):
    with pytest.raises(ValueError, match=r"dataset toy has (no source|hub and path): give exactly one of hub, path"):
        pairs.prepare(Dataset(**fields), "toy", ALL)


@pytest.mark.parametrize(
    "text", ["", "split,sentence1,sentence2,label\n", "a,b\n1,2\n", GOOD + "test,a cow,,1\n", GOOD + "test,a cow,a hen,yes\n", GOOD.replace(",0", ",1")]
)
def test_bad_data_leaves_the_earlier_pairs_as_they_were(project, text):
    before = contents("data")
    assert len(before) == 3
    Path("toy.csv").write_text(text)
    with pytest.raises(ValueError, match="dataset toy"):
        stages.prepare.main(Path("data/pairs"))
    with pytest.raises(ValueError, match="dataset toy"):
        stages.prepare.main(Path("data/other"))
    assert contents("data") == before


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """No network for the hub's client, and an empty cache."""
    import datasets
    import huggingface_hub

    for module in (datasets.config, huggingface_hub.constants):
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 10


def test_a_dataset_of_the_hub_without_a_network_says_what_it_needs_and_what_to_do(offline):
    with pytest.raises(ConnectionError, match=rf"dataset toy needs {OUTSIDE}@abc from the Hugging Face hub.*HF_HUB_OFFLINE.* as `path`"):
        pairs.prepare(Dataset(hub=OUTSIDE, revision="abc"), "toy", ALL)


def test_a_model_of_the_hub_without_a_network_says_what_it_needs_and_what_to_do(offline):
    with pytest.raises(ConnectionError, match=rf"model big needs {OUTSIDE}@main from the Hugging Face hub.*HF_HUB_OFFLINE.* as `path`"):
        models.locate(Model(hub=OUTSIDE), "big")


@pytest.mark.parametrize("entry", [Model(hub=OUTSIDE, revision="abc"), Model(random=0, tokenizer={"kind": "gpt2", "hub": OUTSIDE, "revision": "abc"})])
def test_a_tokenizer_of_the_hub_without_a_network_says_what_it_needs_and_what_to_do(offline, entry):
    with pytest.raises(ConnectionError, match=rf"tokenizer of model big needs {OUTSIDE}@abc from the Hugging Face hub.*HF_HUB_OFFLINE.* as `path`"):
        tokenizer_of(entry, "big")


# tokenize


def test_an_unknown_tokenizer_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"model m: tokenizer 'wrld' is not one of world, hf, gpt2, bytes, utf-16-le\. Mend `tokenizer`"):
        tokenizer_of(Model(random=0, tokenizer="wrld"), "m")
    with pytest.raises(ValueError, match=r"model m: tokenizer None is not one of world, hf"):
        tokenizer_of(Model(random=0, tokenizer={"path": "somewhere"}), "m")


def test_an_unknown_key_of_a_tokenizer_is_refused():
    with pytest.raises(ValueError, match=r"model m: tokenizer has unknown file, folder: it takes kind and hub \(with revision\) or path"):
        tokenizer_of(Model(random=0, tokenizer={"kind": "gpt2", "folder": "x", "file": "y"}), "m")


def test_a_tokenizer_without_files_of_its_own_needs_a_source():
    with pytest.raises(ValueError, match=r"tokenizer of model m has no source: give exactly one of hub, path"):
        tokenizer_of(Model(random=0), "m")


def test_missing_files_of_a_tokenizer_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"tokenizer gpt2: .*vocab\.json does not exist"):
        tokenizer_of(Model(random=0, tokenizer={"kind": "gpt2", "path": str(tmp_path)}), "m")
    with pytest.raises(FileNotFoundError, match=r"tokenizer of model m: .*nowhere does not exist"):
        tokenizer_of(Model(path=str(tmp_path / "nowhere")), "m")


@pytest.mark.parametrize(
    "files", [{}, {"tokenizer.json": '{"version": "1.0", "model"', "tokenizer_config.json": '{"tokenizer_class": "PreTrainedTokenizerFast"}'}]
)
def test_a_folder_without_a_usable_tokenizer_is_refused_with_the_alternatives(tmp_path, files):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=rf"no tokenizer could be loaded from {tmp_path} .*`tokenizer:` in catalog\.yaml: world, hf, gpt2"):
        tokenizer_of(Model(path=str(tmp_path)), "m")


def test_code_that_comes_with_a_tokenizer_or_a_model_is_never_run(tmp_path):
    auto_map = {"AutoTokenizer": ["evil.Tokenizer", None], "AutoConfig": "evil.Config", "AutoModel": "evil.Model", "AutoModelForCausalLM": "evil.Model"}
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Tokenizer: pass\nclass Config: pass\nclass Model: pass\n")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "Tokenizer", "auto_map": auto_map}))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": auto_map}))
    with pytest.raises(ValueError, match=r"without remote code"):
        tokenizer_of(Model(path=str(tmp_path)), "m")
    save_file({"weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=rf"{tmp_path} without remote code"):
        models.load(Model(path=str(tmp_path)), tmp_path, "m")
    assert not (tmp_path / "ran").exists()


def test_a_sentence_over_the_limit_is_refused_with_the_longest():
    tokenizer = tokenizer_of(Model(random=0, tokenizer="bytes"), "m")
    message = r"2 sentences are longer than tokenize\.max_tokens = 4; the longest has 6 tokens \('sixsix'\.\.\.\)\. Raise the limit, or set tokenize\.truncate"
    with pytest.raises(ValueError, match=message):
        tokenizers.tokenize(["four", "fives", "sixsix", "one"], tokenizer, Tokenize(max_tokens=4, truncate=False))


def test_truncate_cuts_sentences_over_the_limit_and_marks_them():
    tokenizer = tokenizer_of(Model(random=0, tokenizer="bytes"), "m")
    ids, truncated = tokenizers.tokenize(["four", "fives", "sixsix", "one"], tokenizer, Tokenize(max_tokens=4, truncate=True))
    assert [bytes(one.tolist()) for one in ids] == [b"four", b"five", b"sixs", b"one"]
    assert truncated.tolist() == [False, True, True, False]


def test_truncated_sentences_are_counted_in_the_manifest(project):
    settings("params.yaml", tokenize={"max_tokens": 5, "truncate": True})
    run_tokenize()
    run_dump()
    texts = pl.read_parquet("data/pairs/sentences.parquet")["text"]
    over = sum(len(text) > 5 for text in texts)
    assert 0 < over < len(texts)
    assert json.loads(Path("data/manifests/tiny.json").read_text())["truncated"] == over


def test_a_sentence_without_tokens_is_shown():
    with pytest.raises(ValueError, match=r"sentence '' has no tokens: remove it, or give the model a `bos`"):
        tokenizers.tokenize(["a", ""], tokenizer_of(Model(random=0, tokenizer="bytes"), "m"), Tokenize(4, False))


@pytest.mark.parametrize(
    ("file", "changes"), [("params.yaml", {"tokenize": {"max_tokens": 4}}), ("catalog.yaml", {"models": {"tiny": {"random": 0, "tokenizer": "byte"}}})]
)
def test_a_tokenizer_that_fails_leaves_the_earlier_tokens_as_they_were(project, file, changes):
    run_tokenize()
    before = contents("data")
    settings(file, **changes)
    with pytest.raises(ValueError, match=r"max_tokens = 4|tokenizer 'byte'"):
        run_tokenize()
    assert contents("data") == before


# dump: the weights


@pytest.fixture(scope="module")
def weights():
    """A tiny RWKV-6 and its tensors under BlinkDL's names."""
    torch.manual_seed(0)
    model = Rwkv6ForCausalLM(Rwkv6Config(**SIZES)).eval()
    names = {checkpoints.hf_name(name): name for name in blinkdl_names(model)}
    return model, {names[name]: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}


def blinkdl_names(model):
    """BlinkDL's names of all tensors of a model."""
    for name in model.state_dict():
        name = name.removeprefix("rwkv.")
        for new, old in (("embeddings.", "emb."), (".pre_ln.", ".ln0."), (".attention.", ".att."), (".feed_forward.", ".ffn.")):
            name = name.replace(new, old)
        yield name


def misfit(tensors, kind, names):
    """A copy of the tensors with one taken away, added, or turned on its side."""
    changed = dict(tensors)
    value, decay, surplus = names
    if kind == "missing":
        del changed[decay]
    elif kind == "extra":
        changed[surplus] = torch.zeros(3)
    elif kind == "misshapen":
        changed[value] = changed[value].T.contiguous()
    return changed


OURS = ("rwkv.blocks.1.feed_forward.value.weight", "rwkv.blocks.1.attention.time_decay", "rwkv.blocks.1.attention.surplus")
BLINKDL = ("blocks.1.ffn.value.weight", "blocks.1.att.time_decay", "blocks.1.att.surplus")
MISFITS = [
    ("missing", r"missing rwkv\.blocks\.1\.attention\.time_decay[^_]"),
    ("extra", r"extra rwkv\.blocks\.1\.attention\.surplus"),
    ("misshapen", r"rwkv\.blocks\.1\.feed_forward\.value\.weight is \(96, 32\), expected \(32, 96\)"),
]


def test_a_complete_checkpoint_is_taken_in_both_layouts(weights, tmp_path):
    model, tensors = weights
    save_file(tensors, tmp_path / "tiny.safetensors")
    model.save_pretrained(tmp_path / "folder")
    for path in (tmp_path / "tiny.safetensors", tmp_path / "folder"):
        loaded = models.load(Model(path=str(path)), path, "m").state_dict()
        assert all(torch.equal(loaded[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(("kind", "message"), MISFITS)
def test_a_blinkdl_checkpoint_that_does_not_fit_is_refused_with_the_tensor(weights, tmp_path, kind, message):
    path = tmp_path / "tiny.safetensors"
    save_file(misfit(weights[1], kind, BLINKDL), path)
    with pytest.raises(ValueError, match=rf"{path} does not fit the model: {message}.* Is it the right architecture, and complete\?"):
        models.load(Model(path=str(path)), path, "m")


@pytest.mark.parametrize(("kind", "message"), MISFITS)
def test_a_folder_of_the_hub_that_does_not_fit_is_refused_with_the_tensor(weights, tmp_path, kind, message):
    weights[0].save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    save_file(misfit(load_file(file), kind, OURS), file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=rf"{tmp_path} does not fit the model: {message}.* Is it the right architecture, and complete\?"):
        models.load(Model(path=str(tmp_path)), tmp_path, "m")


@pytest.mark.parametrize("name", ["blocks.0.att.time_faaaa", "blocks.0.att.time_maa_w1", "emb.weight"])
def test_a_misshapen_tensor_that_tells_the_sizes_is_named(weights, tmp_path, name):
    path = tmp_path / "tiny.safetensors"
    save_file(weights[1] | {name: weights[1][name].flatten()}, path)
    shape = tuple(weights[1][name].flatten().shape)
    with pytest.raises(ValueError, match=rf"{path} does not fit the model: {re.escape(f'{name} is {shape}')}"):
        models.load(Model(path=str(path)), path, "m")


def test_rwkv5_is_refused_by_what_it_lacks(weights, tmp_path):
    path = tmp_path / "rwkv5.safetensors"
    save_file({name: tensor for name, tensor in weights[1].items() if "time_maa" not in name and "decay_w" not in name}, path)
    with pytest.raises(ValueError, match=rf"{path}.*not an RWKV-6 checkpoint.* no blocks\.0\.att\.time_maa_w1, blocks\.0\.att\.time_decay_w1.*only 6 is read"):
        models.load(Model(path=str(path)), path, "m")


def test_a_real_rwkv5_is_refused(testdata):
    path = testdata / "rwkv" / "tiny-rwkv-5v2-730K-FP32.safetensors"
    with pytest.raises(ValueError, match=r"not an RWKV-6 checkpoint"):
        models.load(Model(path=str(path)), path, "m")


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_checkpoint_that_was_cut_short_is_refused_with_its_name(weights, tmp_path, ending, share):
    path = tmp_path / f"cut{ending}"
    save_file(weights[1], path) if ending == ".safetensors" else torch.save(weights[1], path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=rf"{path}.*complete"):
        models.load(Model(path=str(path)), path, "m")


def test_a_folder_of_the_hub_that_was_cut_short_is_refused_with_its_name(weights, tmp_path):
    weights[0].save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=rf"{tmp_path}.*complete"):
        models.load(Model(path=str(tmp_path)), tmp_path, "m")


class Evil:
    """Unpickled without care, it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path):
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"emb.weight": Evil(str(tmp_path / "ran"))}, protocol=2))
    with pytest.raises(ValueError, match=rf"{path}"):
        models.load(Model(path=str(path)), path, "m")
    torch.save({"emb.weight": Evil(str(tmp_path / "ran"))}, path)
    with pytest.raises(ValueError, match=rf"{path}"):
        models.load(Model(path=str(path)), path, "m")
    assert not (tmp_path / "ran").exists()


def test_a_folder_without_weights_is_named_with_what_was_expected(weights, tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"no weights in {tmp_path}: expected one of \*\.safetensors, \*\.pth"):
        models.load(Model(path=str(tmp_path)), tmp_path, "m")
    weights[0].config.save_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"no weights in {tmp_path}"):
        models.load(Model(path=str(tmp_path)), tmp_path, "m")


def test_shards_that_repeat_a_tensor_are_refused(weights, tmp_path):
    for name in ("a", "b"):
        save_file({"emb.weight": weights[1]["emb.weight"]}, tmp_path / f"{name}.safetensors")
    with pytest.raises(ValueError, match=r"b\.safetensors repeats tensors of another shard of the same folder, such as emb\.weight: keep one copy"):
        models.load(Model(path=str(tmp_path)), tmp_path, "m")


def test_an_unknown_type_of_weights_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"dump\.dtype is 'float8', expected one of float32, bfloat16"):
        models.load(Model(random=0, config={"model_type": "rwkv6", **SIZES}), None, "m", "float8")


def test_a_random_model_without_a_type_is_refused():
    with pytest.raises(ValueError, match=r"model m is random but has no config\.model_type: give it, such as rwkv6, and the sizes"):
        models.load(Model(random=0, config=SIZES), None, "m")


@pytest.mark.parametrize("fields", [{}, {"random": 0, "path": "x.pth"}])
def test_a_model_has_exactly_one_source(fields):
    with pytest.raises(ValueError, match=r"model m has (no source|path and random): give exactly one of hub, path, random"):
        models.locate(Model(**fields), "m")


# dump: the states


def test_an_id_outside_the_vocabulary_is_refused_with_the_vocabulary():
    dumping.check_vocabulary([np.array([3, 63]), np.array([0])], 64, "m")
    with pytest.raises(ValueError, match=r"token id 64 is outside the vocabulary of 64 of model m: its `tokenizer` .*belongs to another model"):
        dumping.check_vocabulary([np.array([3, 9]), np.array([64, 1])], 64, "m")


def test_a_negative_id_is_refused():
    with pytest.raises(ValueError, match=r"token id -1 is outside the vocabulary of 64 of model m"):
        dumping.check_vocabulary([np.array([3, 9]), np.array([-1, 1])], 64, "m")


def use_checkpoint(model):
    """Make the project's model a folder with these weights; its tokens are the bytes of the text, so its vocabulary is 256."""
    model.save_pretrained("weights")
    settings("catalog.yaml", models={"tiny": {"path": "weights", "tokenizer": "bytes"}})


def tiny(seed=0, **changes):
    torch.manual_seed(seed)
    model = Rwkv6ForCausalLM(Rwkv6Config(**(SIZES | {"vocab_size": 256} | changes))).eval()
    return model.requires_grad_(False)


def left_behind():
    """Files of a dump: in its output, its manifest, or half written in the scratch folder."""
    return [str(file) for file in [*Path("data/states").rglob("*"), *Path("data/manifests").rglob("*"), *Path(".drillcore").rglob("*.part")] if file.is_file()]


def test_a_vocabulary_that_is_too_small_ends_the_dump_before_it_writes(project):
    run_tokenize()
    use_checkpoint(tiny(vocab_size=64))
    with pytest.raises(ValueError, match=r"token id \d+ is outside the vocabulary of 64 of model tiny"):
        run_dump()
    assert left_behind() == []


def test_states_that_overflow_float16_name_layer_value_limit_and_remedy_and_float32_holds_them(project):
    model = tiny()
    model.rwkv.blocks[0].pre_ln.weight *= 1e6
    use_checkpoint(model)
    run_tokenize()
    with pytest.raises(OverflowError, match=r"layer 0 reaches \d.*, above the 65504 of float16: set dump\.store to float32"):
        run_dump()
    assert left_behind() == []
    settings("params.yaml", dump={"store": "float32"})
    run_dump()
    states = [shards.layer(batch, "layer_00") for batch in shards.record_batches("data/states/tiny")]
    assert {one.dtype for one in states} == {np.dtype(np.float32)}
    assert 65504 < max(np.abs(one).max() for one in states) < 1e8
    assert json.loads(Path("data/manifests/tiny.json").read_text())["store"] == "float32"


def test_weights_that_are_not_numbers_are_noticed_and_named(project):
    model = tiny()
    model.rwkv.blocks[1].feed_forward.value.weight[0, 0] = torch.nan
    use_checkpoint(model)
    run_tokenize()
    for store in ("float16", "float32"):
        settings("params.yaml", dump={"store": store})
        with pytest.raises(OverflowError, match=r"layer 2 holds NaN or infinity before it is stored: the weights or dump\.dtype are at fault"):
            run_dump()
    assert left_behind() == []


def test_a_dump_that_fails_in_its_second_shard_leaves_the_earlier_dump_as_it_was(project):
    # a letter that only the longest sentences have will be NaN; the others fill the first shard of 1 MB
    rows = [f"train,{'ab' * 80} {i},{'ba' * 80} {i},{i % 2}\n" for i in range(5)] + [f"train,{'ab' * 90} {i}~,c,{i % 2}\n" for i in range(2)]
    Path("toy.csv").write_text("split,sentence1,sentence2,label\n" + "".join(rows))
    stages.prepare.main(Path("data/pairs"))
    settings("params.yaml", dump={"batch_tokens": 1000})
    settings("catalog.yaml", models={"tiny": {"random": 0, "config": {"model_type": "rwkv6", **WIDE}, "tokenizer": "bytes"}})
    run_tokenize()
    run_dump()
    assert len(json.loads(Path("data/manifests/tiny.json").read_text())["shards"]) > 1
    before = contents("data")
    model = tiny(seed=1, **WIDE)
    model.rwkv.embeddings.weight[ord("~")] = torch.nan
    use_checkpoint(model)
    with pytest.raises(OverflowError, match=r"layer 0 holds NaN"):
        run_dump()
    assert contents("data") == before
    assert not list(Path(".drillcore").rglob("*.part"))


def test_a_dump_with_fewer_shards_leaves_none_of_the_earlier_ones(project):
    run_tokenize()
    run_dump()
    Path("data/states/tiny/shard-00007.arrow").write_bytes(Path("data/states/tiny/shard-00000.arrow").read_bytes())
    run_dump()
    manifest = json.loads(Path("data/manifests/tiny.json").read_text())
    assert sorted(os.listdir("data/states/tiny")) == [shard["name"] for shard in manifest["shards"]] == ["shard-00000.arrow"]


def small_shard(path, ids=(3, 3, 5), layers=2):
    schema = shards.schema(range(layers), 4, "float16")
    states = [np.ones((len(ids), 4), np.float16)] * layers
    shard = scratch.Shard(path, schema)
    shard.writer.write_batch(shards.record_batch([np.array(ids), np.arange(len(ids), dtype=np.int32), *states], schema))
    return shard.finish()


@pytest.mark.parametrize("damage", ["truncated", "flipped", "foreign", "without a record", "with a broken record", "with a record of nothing"])
def test_a_damaged_shard_is_named_and_taken_away(tmp_path, damage, capsys):
    path = tmp_path / "shard-00000.arrow"
    record = small_shard(path)
    assert scratch.finished(path) == record
    assert record["bytes"] == path.stat().st_size
    whole = path.read_bytes()
    for spot in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        if damage == "truncated":
            path.write_bytes(whole[:spot])
        elif damage == "flipped":
            path.write_bytes(whole[:spot] + bytes([whole[spot] ^ 1]) + whole[spot + 1 :])
        elif damage == "foreign":
            other = tmp_path / "other/shard-00000.arrow"
            other.parent.mkdir(exist_ok=True)
            small_shard(other, ids=(3, 4, 5))
            other.rename(path)
        elif damage == "without a record":
            path.with_suffix(".json").unlink()
        else:
            path.with_suffix(".json").write_text("{" if damage == "with a broken record" else "{}")
        assert scratch.finished(path) is None
        assert str(path) in capsys.readouterr().err
        assert not path.exists()
        assert scratch.finished(path) is None
        assert capsys.readouterr().err == ""
        small_shard(path)
        assert path.read_bytes() == whole


# pool


def test_an_unknown_pooling_is_refused_with_the_known_ones(finished):
    before = contents("data")
    settings("params.yaml", pooling="men")
    with pytest.raises(ValueError, match=r"pooling is 'men', expected one of mean, last, last_K, first, max, weighted_mean"):
        run_pool()
    assert contents("data") == before


def test_a_folder_without_shards_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"no shards in {tmp_path}: run the dump stage first"):
        pooling.pool(tmp_path, "mean", tmp_path / "out" / "vectors.parquet", {})
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("existing", [False, True])
def test_a_broken_shard_is_named_and_leaves_no_half_of_the_vectors(tmp_path, existing):
    small_shard(tmp_path / "shard-00000.arrow", ids=range(pooling.ROW_GROUP + 1))  # enough to be written before the second is read
    small_shard(tmp_path / "shard-00001.arrow", ids=[5000])
    (tmp_path / "shard-00001.arrow").write_bytes((tmp_path / "shard-00001.arrow").read_bytes()[:-20])
    out = tmp_path / "pooled" / "vectors.parquet"
    if existing:
        vectors.write(out, [0], {0: np.ones((1, 4))}, {})
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"shard-00001\.arrow.*dump stage again"):
        pooling.pool(tmp_path, "mean", out, {"encoder": "m"})
    assert contents(tmp_path) == before


# baseline


def test_an_unknown_kind_of_baseline_is_refused_with_the_known_ones(finished):
    before = contents("data")
    settings("catalog.yaml", baselines={"random": {"kind": "randm"}})
    with pytest.raises(ValueError, match=r"baseline random: kind is 'randm', expected one of overlap, random, vectors"):
        run_baseline("random")
    assert contents("data") == before


def test_a_missing_file_of_word_vectors_is_named(tmp_path):
    table = pl.DataFrame({"split": ["all"], "sentence1_id": [0], "sentence2_id": [0]}), pl.DataFrame({"sentence_id": [0], "text": ["a"]})
    with pytest.raises(FileNotFoundError, match=r"baseline g: .*glove\.txt does not exist \(looked at /"):
        baselines.run(Baseline(kind="vectors", path=str(tmp_path / "glove.txt")), "g", *table)


def test_a_zip_of_word_vectors_without_its_member_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "glove.zip").write_bytes(b"PK\x03\x04\xff\xfe\xfd\xfc")
    table = pl.DataFrame({"split": ["all"], "sentence1_id": [0], "sentence2_id": [0]}), pl.DataFrame({"sentence_id": [0], "text": ["a"]})
    with pytest.raises(ValueError, match=r"glove\.zip.*`member`"):
        baselines.run(Baseline(kind="vectors", url=(tmp_path / "glove.zip").as_uri()), "g", *table)


# score and correlate


def pairs_table(n=4, start=0):
    ids = {"sentence1_id": list(range(n)), "sentence2_id": [0] * n}
    labels = {"label": [float(i % 2) for i in range(n)], "component": list(range(n))}
    return pl.DataFrame({"pair_id": range(start, start + n), "split": ["train"] * n, **ids, **labels})


def test_an_unknown_similarity_is_refused_with_the_known_ones(finished):
    before = contents("data")
    settings("params.yaml", score={"similarities": ["cosine", "cos"]})
    with pytest.raises(ValueError, match=r"score\.similarities has \['cos'\], expected some of cosine, dot, neg_euclidean"):
        run_score()
    assert contents("data") == before


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("start", [0, 10])
def test_a_score_that_is_not_finite_is_refused_with_its_pair(bad, start):
    scores = np.array([0.5, 0.5, bad, bad])
    with pytest.raises(ValueError, match=rf"the cosine of m, layer 3 is {bad} for pair {start + 2} \(split train\), and for 2 pairs in all"):
        scoring.rows(pairs_table(start=start), "m", "mean", "none", 3, "cosine", scores)


@pytest.mark.parametrize("bad", [np.nan, np.inf, None])
def test_correlations_refuse_a_score_that_is_not_finite(bad):
    good = scoring.rows(pairs_table(), "m", "mean", "none", 3, "cosine", np.array([0.1, 0.2, 0.3, 0.4]))
    scores = good.with_columns(score=pl.Series([0.1, 0.2, bad, 0.4], dtype=pl.Float64))
    with pytest.raises(
        ValueError, match=r"1 scores are NaN or infinite, first: .*'pair_id': 2, 'encoder': 'm', 'pooling': 'mean', 'correction': 'none', 'layer': 3"
    ):
        correlation.correlate(scores, pairs_table(), {}, correlation.Correlate(resamples=100, confidence=0.95, seed=0))


def test_correlations_with_a_bad_score_leave_the_earlier_table_as_it_was(finished):
    paths = {"pairs": "data/pairs/pairs.parquet", "info": "data/pairs/info.json", "scores": "data/scores.parquet"}
    paths |= {"table": "results/correlations.csv", "metrics": "results/metrics.json"}
    paths = {name: Path(path) for name, path in paths.items()}
    settings("params.yaml", correlate={"resamples": 100})
    stages.correlate.main(**paths)
    before = contents("results")
    assert len(before) == 2
    table = pl.read_parquet("data/scores.parquet")
    table.with_columns(score=pl.when(pl.int_range(pl.len()) == 5).then(float("nan")).otherwise("score")).write_parquet("data/scores.parquet")
    with pytest.raises(ValueError, match=r"1 scores are NaN or infinite"):
        stages.correlate.main(**paths)
    assert contents("results") == before


@pytest.mark.parametrize("sentences", [7, 9])  # the pairs have 8
def test_vectors_of_another_dataset_are_refused(tmp_path, sentences):
    vectors.write(tmp_path / "vectors.parquet", np.arange(sentences), {0: np.ones((sentences, 4))}, {"encoder": "m", "pooling": "mean", "layers": True})
    with pytest.raises(ValueError, match=rf"vectors\.parquet holds {sentences} sentences, but the pairs (need|have) 8: it belongs to another dataset"):
        scoring.score_encoder(tmp_path, pairs_table(8), scoring.Score(["cosine"], ["none"]))


@pytest.mark.parametrize("rows", [3, 5])  # there are 4 pairs
def test_scores_of_another_dataset_are_refused(tmp_path, rows):
    baselines.write(tmp_path, "overlap", baselines.Result(scores={"dice": np.linspace(0, 1, rows)}))
    with pytest.raises(ValueError, match=rf"scores\.parquet holds {rows} .*4.*: it belongs to another dataset"):
        scoring.score_encoder(tmp_path, pairs_table(), scoring.Score(["cosine"], ["none"]))


def test_vectors_with_a_sentence_missing_or_twice_are_refused(tmp_path):
    for ids in ([0, 1, 3], [0, 1, 1]):
        vectors.write(tmp_path / "vectors.parquet", ids, {0: np.ones((3, 4))}, {})
        with pytest.raises(ValueError, match=r"vectors\.parquet: its 3 sentence ids are not 0 to 2, each once: run the pool stage again"):
            vectors.read_layer(tmp_path / "vectors.parquet", 0)


def test_an_encoder_whose_stage_has_not_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere"):
        scoring.score_encoder(tmp_path / "nowhere", pairs_table(), scoring.Score(["cosine"], ["none"]))


def test_a_score_stage_that_fails_leaves_the_earlier_scores_as_they_were(finished):
    before = contents("data/scores.parquet")
    assert len(before) == 1
    Path("toy.csv").write_text(GOOD + "test,a hen,a cow,1\n")
    stages.prepare.main(Path("data/pairs"))
    with pytest.raises(ValueError, match=r"holds 6 sentences, but the pairs (need|have) 7: it belongs to another dataset"):
        run_score()
    assert contents("data/scores.parquet") == before


# the command line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("limit is 3"), "error: limit is 3"),
        (KeyError("no model 'x'"), "error: no model 'x'"),
        (FileNotFoundError("no such place"), "error: no such place"),
        (ConnectionError("no network"), "error: no network"),
        (OverflowError("too large"), "error: too large"),
        (ValueError("first line\n  second line\n"), "error: first line second line"),
    ],
)
def test_an_expected_error_is_one_line_and_exit_status_1(error, line, monkeypatch, capsys):
    def main():
        raise error

    monkeypatch.setattr(sys, "argv", ["stage"])
    monkeypatch.delenv("DRILLCORE_TRACEBACK", raising=False)
    with pytest.raises(SystemExit) as end:
        cli.run(main)
    assert end.value.code == 1
    assert capsys.readouterr() == ("", line + "\n")


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch):
    def main():
        raise AssertionError("ours")

    monkeypatch.setattr(sys, "argv", ["stage"])
    with pytest.raises(AssertionError, match="ours"):
        cli.run(main)


def test_the_traceback_of_an_expected_error_can_be_asked_for(monkeypatch):
    def main():
        raise ValueError("limit is 3")

    monkeypatch.setattr(sys, "argv", ["stage"])
    monkeypatch.setenv("DRILLCORE_TRACEBACK", "1")
    with pytest.raises(ValueError, match="limit is 3"):
        cli.run(main)


def stage(name, *options, **environment):
    """Run a stage in the current folder as DVC does."""
    environment = {key: value for key, value in os.environ.items() if key != "DRILLCORE_TRACEBACK"} | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run([sys.executable, "-m", f"stages.{name}", *options], env=environment, capture_output=True, text=True, timeout=60)


def broken_yaml(file):
    Path(file).write_text("dataset: [toy\nmodels: {\n")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda: settings("params.yaml", dataset="tyo"), r"error: no dataset 'tyo' in catalog.yaml: did you mean toy?"),
        (lambda: Path("toy.csv").unlink(), "error: dataset toy: toy.csv does not exist (looked at "),
        (lambda: Path("params.yaml").unlink(), "error: no params.yaml here: run from the project's folder"),
        (lambda: settings("params.yaml", dataset=None), "error: top level of params.yaml: dataset is None, expected str"),
        (lambda: broken_yaml("params.yaml"), "error: params.yaml"),
        (lambda: broken_yaml("catalog.yaml"), "error: catalog.yaml"),
        (lambda: Path("catalog.yaml").unlink(), "catalog.yaml"),
        (lambda: settings("catalog.yaml", datasets={"toy": {"hub": OUTSIDE}}), f"error: dataset toy needs {OUTSIDE}@main from the Hugging Face hub"),
    ],
    ids=["unknown", "no-data", "no-params", "null", "broken-params", "broken-catalog", "no-catalog", "no-network"],
)
def test_a_stage_that_fails_ends_with_one_line_and_exit_status_1_and_loses_nothing(project, spoil, message):
    before = contents("data")
    spoil()
    done = stage("prepare", "--out", "data/pairs", HF_HUB_OFFLINE="1", HF_HOME=str(project / "cache"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert contents("data") == before


def test_a_stage_that_succeeds_says_nothing_and_exits_0(project):
    before = contents("data")
    done = stage("prepare", "--out", "data/pairs")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert contents("data") == before


def test_an_input_that_is_not_there_is_named_by_its_option(project):
    done = stage("score", "--pairs", "data/nowhere.parquet", "--pooled", "data/pooled", "--baselines", "data/baselines", "--out", "data/scores.parquet")
    assert done.returncode != 0
    assert "--pairs" in done.stderr
    assert "nowhere.parquet" in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("data/scores.parquet").exists()
