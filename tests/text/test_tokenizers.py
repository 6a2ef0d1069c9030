"""Token ids against the tokenizers of other libraries, and by hand."""

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml

import stages.tokenize
from pipeline.base.errors import InputError
from pipeline.catalog.entries import TOKENIZER_KINDS, Model
from pipeline.formats import tokens as tokens_format
from pipeline.text import encoding, tokenizers
from pipeline.text.encoding import encode, pieces_of
from pipeline.text.settings import Tokenize
from pipeline.text.tokenizers import TOKENIZERS, tokenizer_of
from tests.helpers import ROOT, contents

LIMIT = Tokenize(max_tokens=1024, truncate=False)
OUTSIDE = "nobody-at-all/nothing-at-all"  # no repository; with the hub offline its name does not matter
ODD = [
    " ",
    "  leading and trailing  ",
    "tab\tnewline\nreturn\r\n",
    "naïve façade, cafe\u0301",
    "日本語のテキスト、中文文本。",
    "한국어 العربية עברית हिन्दी",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽",
    "zero\u200bwidth\ufeffand\u00a0no-break",
    "\x00\x01\x7f",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \U0010ffff",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "3.14159 -2e10 0x7F 1,000,000",
    "https://example.org/?q=a%20b&c=d#e",
]


@pytest.fixture(scope="module")
def sentences():
    table = pl.read_csv(ROOT / "data/sample/hard.tsv", separator="\t", quote_char=None)
    return pl.concat([table["sentence1"], table["sentence2"]]).unique(maintain_order=True).to_list()


@pytest.fixture
def in_bytes():
    return tokenizer_of(Model(random=0, tokenizer="bytes"), "m")


def ids_of(texts, bos=None, **entry):
    ids = encode(texts, tokenizer_of(Model(**entry), "m"), LIMIT, bos).ids
    return [tokens.tolist() for tokens in ids]


def test_the_tokenizers_are_those_of_the_catalogue():
    assert list(TOKENIZERS) == list(TOKENIZER_KINDS)


def test_world_against_the_vocabulary_of_the_rwkv_package(sentences):
    rwkv_tokenizer = pytest.importorskip("rwkv.rwkv_tokenizer")
    vocabulary = Path(rwkv_tokenizer.__file__).parent / "rwkv_vocab_v20230424.txt"
    oracle = rwkv_tokenizer.TRIE_TOKENIZER(str(vocabulary))
    texts = [*ODD, *sentences[:400]]
    assert ids_of(texts, random=0, tokenizer="world") == [oracle.encode(text) for text in texts]


def test_world_bytes_by_hand():
    # the first 256 ids of the vocabulary are the single bytes, from 1
    assert ids_of(["\x00", "a", "\x7f"], random=0, tokenizer="world") == [[1], [98], [128]]


def test_bytes_are_utf8_by_hand():
    assert ids_of(["aé", "€\n"], random=0, tokenizer="bytes") == [[97, 195, 169], [226, 130, 172, 10]]


def test_utf16_le_by_hand():
    assert ids_of(["aé", "€", "😀"], random=0, tokenizer="utf-16-le") == [[97, 0, 233, 0], [172, 32], [61, 216, 0, 222]]


def test_gpt2_gives_the_known_ids(testdata):
    spec = {"kind": "gpt2", "path": str(testdata / "gpt2")}
    assert ids_of(["The cat sat on the mat"], random=0, tokenizer=spec) == [[464, 3797, 3332, 319, 262, 2603]]


def test_gpt2_against_transformers(testdata, sentences):
    from transformers import GPT2Tokenizer

    oracle = GPT2Tokenizer(str(testdata / "gpt2/vocab.json"), str(testdata / "gpt2/merges.txt"))
    spec = {"kind": "gpt2", "path": str(testdata / "gpt2")}
    texts = [*ODD, *sentences[:100]]
    assert ids_of(texts, random=0, tokenizer=spec) == oracle(texts)["input_ids"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small BPE tokenizer that puts [CLS] and [SEP] around a text, in the hub's layout."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    trainer = trainers.BpeTrainer(special_tokens=["[UNK]", "[CLS]", "[SEP]"], vocab_size=60)
    bpe = Tokenizer(models.BPE(unk_token="[UNK]"))
    bpe.pre_tokenizer = pre_tokenizers.Whitespace()
    bpe.train_from_iterator(["the cat sat on the mat", "the dog sat"], trainer)
    ends = [("[CLS]", 1), ("[SEP]", 2)]
    bpe.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    names = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    target = tmp_path_factory.mktemp("tokenizer")
    PreTrainedTokenizerFast(tokenizer_object=bpe, **names).save_pretrained(target)
    return target


def test_hf_against_the_tokenizer_that_was_saved(folder):
    from tokenizers import Tokenizer

    oracle = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = ["the cat sat", "a dog on the mat", "unknown @ letters"]
    plain = [oracle.encode(text, add_special_tokens=False).ids for text in texts]
    assert ids_of(texts, path=str(folder)) == plain
    assert ids_of(texts, path=str(folder), special_tokens=True) == [[1, *ids, 2] for ids in plain]


def test_hf_leaves_out_special_tokens_unless_they_are_asked_for(folder):
    without, with_them = (ids_of(["the cat"], path=str(folder), special_tokens=asked)[0] for asked in (False, True))
    assert with_them == [1, *without, 2]
    assert not {1, 2} & set(without)


def test_hf_may_come_from_another_folder_than_the_weights(folder):
    spec = {"kind": "hf", "path": str(folder)}
    assert ids_of(["the cat"], random=0, tokenizer=spec) == ids_of(["the cat"], path=str(folder))


def test_bos_comes_before_every_sentence_and_counts_as_a_token(in_bytes):
    assert ids_of(["ab", "c"], bos=0, random=0, tokenizer="bytes") == [[0, 97, 98], [0, 99]]
    assert ids_of([""], bos=7, random=0, tokenizer="bytes") == [[7]]
    with pytest.raises(InputError, match=r"max_tokens = 2; the longest has 3 tokens"):
        encode(["ab"], in_bytes, Tokenize(2, False), bos=0)


def test_a_sentence_as_long_as_the_limit_is_neither_refused_nor_cut(in_bytes):
    encoded = encode(["abc", "a"], in_bytes, Tokenize(3, False))
    ids, truncated = encoded.ids, encoded.truncated
    assert [tokens.tolist() for tokens in ids] == [[97, 98, 99], [97]]
    assert truncated.tolist() == [False, False]


def test_truncate_cuts_sentences_over_the_limit_and_marks_them(in_bytes):
    encoded = encode(["four", "fives", "sixsix", "one"], in_bytes, Tokenize(max_tokens=4, truncate=True))
    ids, truncated = encoded.ids, encoded.truncated
    assert [bytes(tokens.tolist()) for tokens in ids] == [b"four", b"five", b"sixs", b"one"]
    assert truncated.tolist() == [False, True, True, False]


def test_ids_are_int32_and_a_sentence_keeps_its_place(in_bytes):
    texts = ["bb", "a", "ccc", "a"]
    ids = encode(texts, in_bytes, LIMIT).ids
    assert {tokens.dtype for tokens in ids} == {np.dtype(np.int32)}
    assert [bytes(tokens.tolist()).decode() for tokens in ids] == texts


def test_a_sentence_is_encoded_the_same_alone_and_among_others(sentences, folder):
    for entry in (Model(random=0, tokenizer="world"), Model(path=str(folder))):
        tokenizer = tokenizer_of(entry, "m")
        assert tokenizer.encode(sentences[:20]) == [tokenizer.encode([text])[0] for text in sentences[:20]]


def test_fingerprints_tell_apart_what_gives_other_ids(folder, testdata, tmp_path):
    entries = [
        *(Model(random=0, tokenizer=kind) for kind in ("world", "bytes", "utf-16-le")),
        Model(random=0, tokenizer={"kind": "gpt2", "path": str(testdata / "gpt2")}),
        Model(path=str(folder)),
        Model(path=str(folder), special_tokens=True),
    ]
    prints = [tokenizer_of(entry, "m").fingerprint for entry in entries]
    assert all(a != b for i, a in enumerate(prints) for b in prints[:i])
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert tokenizer_of(Model(path=str(copy)), "m").fingerprint == prints[4]
    changed = json.loads((copy / "tokenizer.json").read_text())
    vocabulary = changed["model"]["vocab"]
    vocabulary["a"], vocabulary["t"] = vocabulary["t"], vocabulary["a"]
    (copy / "tokenizer.json").write_text(json.dumps(changed))
    assert tokenizer_of(Model(path=str(copy)), "m").fingerprint != prints[4]


@pytest.mark.parametrize("kind", ["world", "bytes"])
def test_pieces_are_the_text_of_each_token(kind):
    tokenizer = tokenizer_of(Model(random=0, tokenizer=kind), "m")
    text = "The bank's 25 new branches opened"
    ids = encode([text, "a"], tokenizer, LIMIT).ids
    pieces = pieces_of(ids, tokenizer)
    assert ["".join(pieces[token] for token in tokens.tolist()) for tokens in ids] == [text, "a"]
    assert set(pieces) == set(np.concatenate(ids).tolist())


def test_a_token_of_part_of_a_character_has_a_piece_too():
    tokenizer = tokenizer_of(Model(random=0, tokenizer="world"), "m")
    ids = encode(["\U0001f9ff"], tokenizer, LIMIT).ids  # not in the vocabulary: several tokens of single bytes
    assert pieces_of(ids, tokenizer) == dict.fromkeys(ids[0].tolist(), tokenizers.UNPRINTABLE)
    assert len(ids[0]) > 1


def test_the_tokens_of_a_model_are_read_back_as_they_were_written(tmp_path):
    table = pl.DataFrame({"sentence_id": [0, 1], "text": ["abc", "é"]})
    written = encoding.tokenize(table, Model(random=0, tokenizer="bytes", bos=1), "m", Tokenize(3, True))
    tokens_format.write(tmp_path / "m.parquet", written)
    tokens = tokens_format.read(tmp_path / "m.parquet", "m", pieces=True)
    assert tokens.sentence_ids.tolist() == [0, 1]
    assert [ids.tolist() for ids in tokens.ids] == [[1, 97, 98], [1, 195, 169]]
    assert tokens.pieces == {1: "\x01", 97: "a", 98: "b", 195: "Ã", 169: "©"}
    assert pl.read_parquet(tmp_path / "m.parquet")["pieces"].to_list() == [["\x01", "a", "b"], ["\x01", "Ã", "©"]]
    assert tokens.truncated.tolist() == [True, False]
    assert tokens.fingerprint == {"tokenizer": {"kind": "utf-8"}, "bos": 1}


def test_sentences_are_encoded_and_written_some_at_a_time_as_they_are_at_once(tmp_path, rng, sentences, monkeypatch):
    table = pl.DataFrame({"sentence_id": rng.permutation(50), "text": sentences[:50]})
    entry, held = Model(random=0, tokenizer="world", bos=3), []
    tokenizer = tokenizer_of(entry, "m")
    watched = replace(tokenizer, encode=lambda texts: held.append(len(texts)) or tokenizer.encode(texts))
    monkeypatch.setattr(encoding, "tokenizer_of", lambda entry, name: watched)
    at_once = encoding.tokenize(table, entry, "m", LIMIT)
    monkeypatch.setattr(encoding, "SENTENCES_AT_ONCE", 16)
    monkeypatch.setattr(encoding, "IDS_AT_ONCE", 100)
    monkeypatch.setattr(tokens_format, "SENTENCES", 16)
    tokens_format.write(tmp_path / "m.parquet", encoding.tokenize(table, entry, "m", LIMIT))
    assert held == [50, 16, 16, 16, 2]
    assert pq.ParquetFile(tmp_path / "m.parquet").num_row_groups == 4
    read = tokens_format.read(tmp_path / "m.parquet", "m", pieces=True)
    assert read.sentence_ids.tolist() == table["sentence_id"].to_list()
    assert [ids.tolist() for ids in read.ids] == [ids.tolist() for ids in at_once.ids]
    assert read.pieces == at_once.pieces
    written = pl.read_parquet(tmp_path / "m.parquet")
    assert ["".join(pieces[1:]) for pieces in written["pieces"]] == sentences[:50]  # the first is the BOS


@pytest.mark.parametrize("length", [2, 100])
def test_what_is_held_of_a_sentence_does_not_depend_on_its_tokens(tmp_path, monkeypatch, length):
    monkeypatch.chdir(tmp_path)
    table = pl.DataFrame({"sentence_id": range(20_000), "text": ["a" * length] * 20_000})
    tracemalloc.start()
    tokens = encoding.tokenize(table, Model(random=0, tokenizer="bytes"), "m", LIMIT)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(tokens.ids.values) == length * 20_000
    assert held < 50 * 20_000


# what is wrong


def test_an_unknown_tokenizer_is_refused_with_its_near_misses_and_the_known_ones():
    with pytest.raises(
        InputError, match=r"tokenizer is 'wrld': did you mean world\? Expected one of world, hf, gpt2, b"
    ):
        tokenizer_of(Model(random=0, tokenizer="wrld"), "m")
    with pytest.raises(InputError, match=r"tokenizer is None: expected one of world, hf"):
        tokenizer_of(Model(random=0, tokenizer={"path": "somewhere"}), "m")


def test_an_unknown_key_of_a_tokenizer_is_refused():
    spec = {"kind": "gpt2", "folder": "x", "file": "y"}
    with pytest.raises(
        InputError, match=r"tokenizer has unknown file, folder: it takes kind and hub \(with revision\) or"
    ):
        tokenizer_of(Model(random=0, tokenizer=spec), "m")


def test_a_tokenizer_without_files_of_its_own_needs_a_source():
    with pytest.raises(InputError, match=r"tokenizer of model m has no source: give exactly one of hub, path"):
        tokenizer_of(Model(random=0), "m")


def test_missing_files_of_a_tokenizer_are_named(tmp_path):
    with pytest.raises(InputError, match=r"tokenizer gpt2: .*vocab\.json does not exist"):
        tokenizer_of(Model(random=0, tokenizer={"kind": "gpt2", "path": str(tmp_path)}), "m")
    with pytest.raises(InputError, match=r"tokenizer of model m: .*nowhere does not exist"):
        tokenizer_of(Model(path=str(tmp_path / "nowhere")), "m")


def test_a_damaged_vocabulary_of_gpt2_is_refused(tmp_path):
    (tmp_path / "vocab.json").write_text('{"a": ')
    (tmp_path / "merges.txt").write_text("")
    with pytest.raises(InputError, match=rf"tokenizer gpt2: {tmp_path} holds no vocabulary of GPT-2"):
        tokenizer_of(Model(random=0, tokenizer={"kind": "gpt2", "path": str(tmp_path)}), "m")


FAST = '{"tokenizer_class": "PreTrainedTokenizerFast"}'


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"tokenizer.json": '{"version": "1.0", "model"', "tokenizer_config.json": FAST},
        {"tokenizer.json": "[]", "tokenizer_config.json": FAST},
        {"tokenizer_config.json": "[]"},
        {"tokenizer_config.json": '{"tokenizer_class": "GPT2Tokenizer"}', "vocab.json": "{}", "merges.txt": "a b c\n"},
    ],
)
def test_a_folder_without_a_usable_tokenizer_is_refused_with_the_alternatives(tmp_path, files):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    message = rf"no tokenizer could be loaded from {tmp_path} .*`tokenizer:` in catalog\.yaml: world, hf, gpt2"
    with pytest.raises(InputError, match=message):
        tokenizer_of(Model(path=str(tmp_path)), "m")


def test_code_that_comes_with_a_tokenizer_is_never_run(tmp_path):
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Tokenizer: pass\n")
    config = {"tokenizer_class": "Tokenizer", "auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "evil"}))
    with pytest.raises(InputError, match=r"without remote code"):
        tokenizer_of(Model(path=str(tmp_path)), "m")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "entry",
    [
        Model(hub=OUTSIDE, revision="abc"),
        Model(random=0, tokenizer={"kind": "gpt2", "hub": OUTSIDE, "revision": "abc"}),
    ],
)
def test_a_tokenizer_of_the_hub_without_a_network_says_what_it_needs_and_what_to_do(offline, entry):
    message = rf"tokenizer of model big needs {OUTSIDE}@abc from the Hugging Face hub.*HF_HUB_OFFLINE.* as `path`"
    with pytest.raises(InputError, match=message):
        tokenizer_of(entry, "big")


def test_a_tokenizer_of_the_hub_is_that_of_its_first_commit_and_says_so(hub_cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    merged = {"vocab.json": b'{"a": 0, "b": 1, "ab": 2}', "merges.txt": b"#version: 0.2\na b\n"}
    entry = Model(random=0, tokenizer={"kind": "gpt2", "hub": "owner/name"})
    first = hub_cache.commit("owner/name", merged)
    assert tokenizer_of(entry, "m").encode(["ab"]) == [[2]]
    hub_cache.commit("owner/name", merged | {"merges.txt": b"#version: 0.2\n"})
    found = tokenizer_of(entry, "m")
    assert found.encode(["ab"]) == [[2]]
    assert found.source == {"hub": "owner/name", "revision": "main", "commit": first}
    table = pl.DataFrame({"sentence_id": [0, 1], "text": ["ab", "ba"]})
    tokens_format.write("t.parquet", encoding.tokenize(table, entry, "m", LIMIT))
    assert tokens_format.read("t.parquet", "m").source == found.source
    assert "commit" not in str(found.fingerprint)  # the ids depend on files, not on the name of their commit


def test_a_local_tokenizer_and_one_without_files_are_of_no_commit():
    assert tokenizer_of(Model(path=str(ROOT / "data/demo/model")), "m").source is None
    assert tokenizer_of(Model(random=0, tokenizer="bytes"), "m").source is None


def test_a_sentence_over_the_limit_is_refused_with_the_longest(in_bytes):
    message = (
        r"2 sentences are longer than tokenize\.max_tokens = 4; the longest has 6 tokens \('sixsix'\.\.\.\)\. Raise"
    )
    with pytest.raises(InputError, match=message):
        encode(["four", "fives", "sixsix", "one"], in_bytes, Tokenize(max_tokens=4, truncate=False))


def test_a_sentence_without_tokens_is_shown(in_bytes):
    with pytest.raises(InputError, match=r"sentence '' has no tokens: remove it, or give the model a `bos`"):
        encode(["a", ""], in_bytes, Tokenize(4, False))


# the stage


def run_stage():
    stages.tokenize.main("tiny", Path("data/pairs/sentences.parquet"), Path("data/tokens/tiny.parquet"))


def test_the_stage_writes_the_tokens_of_every_sentence(project):
    run_stage()
    tokens = tokens_format.read("data/tokens/tiny.parquet", "tiny", pieces=True)
    texts = pl.read_parquet("data/pairs/sentences.parquet")["text"].to_list()
    assert ["".join(tokens.pieces[token] for token in ids.tolist()) for ids in tokens.ids] == texts


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("params.yaml", {"tokenize": {"max_tokens": 4, "truncate": False}}, r"max_tokens = 4"),
        (
            "catalog.yaml",
            {"models": {"tiny": {"random": 0, "tokenizer": "byte"}}},
            r"models\.tiny .*tokenizer is 'byte'",
        ),
    ],
)
def test_a_tokenizer_that_fails_leaves_the_earlier_tokens_as_they_were(project, file, changes, message):
    run_stage()
    before = contents("data")
    Path(file).write_text(yaml.safe_dump(yaml.safe_load(Path(file).read_text()) | changes))
    with pytest.raises(InputError, match=message):
        run_stage()
    assert contents("data") == before


# special tokens at the ends


def test_a_cut_sentence_keeps_its_last_special_token(folder):
    text = "the cat sat on the mat and the dog ran"
    tokenizer = tokenizers.tokenizer_of(Model(path=str(folder), special_tokens=True), "m")
    whole = [1, *tokenizer.encode([text])[0], 2]
    for limit in range(3, len(whole)):
        encoded = encode([text, "the"], tokenizer, Tokenize(max_tokens=limit, truncate=True))
        ids, cut = encoded.ids, encoded.truncated
        assert ids[0].tolist() == [*whole[: limit - 1], whole[-1]]
        assert cut.tolist() == [True, False]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("special_tokens", [True, False])
def test_a_sentence_is_cut_on_the_side_where_transformers_cuts_it(folder, tmp_path, side, special_tokens):
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(folder, truncation_side=side).save_pretrained(tmp_path)
    oracle, texts = AutoTokenizer.from_pretrained(tmp_path), ["the cat sat on the mat and the dog ran", "the"]
    tokenizer = tokenizers.tokenizer_of(Model(path=str(tmp_path), special_tokens=special_tokens), "m")
    for limit in range(3, 12):
        ids = encode(texts, tokenizer, Tokenize(max_tokens=limit, truncate=True)).ids
        options = {"truncation": True, "max_length": limit, "add_special_tokens": special_tokens}
        assert [tokens.tolist() for tokens in ids] == oracle(texts, **options)["input_ids"]


def test_a_token_that_the_tokenizer_puts_before_every_sentence_is_not_put_there_twice(folder):
    tokenizer = tokenizers.tokenizer_of(Model(path=str(folder), special_tokens=True), "m")
    settings = Tokenize(max_tokens=50, truncate=False)
    with pytest.raises(InputError, match=r"token 1 before every sentence itself .*and so does `bos`: leave one"):
        encode(["the cat", "a dog"], tokenizer, settings, bos=1)
    assert encode(["the cat"], tokenizer, settings, bos=5).ids[0].tolist()[:2] == [5, 1]
