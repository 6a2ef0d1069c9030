import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipeline import tokenizers
from pipeline.catalog import Model
from pipeline.tokenizers import Tokenize, tokenizer_of

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "sample" / "pairs.tsv"
LIMIT = Tokenize(max_tokens=1024, truncate=False)
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
    table = pl.read_csv(SAMPLE, separator="\t", quote_char=None)
    return pl.concat([table["sentence1"], table["sentence2"]]).unique(maintain_order=True).to_list()


def encode(texts, bos=None, **entry):
    ids, _ = tokenizers.tokenize(texts, tokenizer_of(Model(**entry), "m"), LIMIT, bos)
    return [one.tolist() for one in ids]


def test_world_against_the_vocabulary_of_the_rwkv_package(sentences):
    rwkv_tokenizer = pytest.importorskip("rwkv.rwkv_tokenizer")
    oracle = rwkv_tokenizer.TRIE_TOKENIZER(str(Path(rwkv_tokenizer.__file__).parent / "rwkv_vocab_v20230424.txt"))
    texts = [*ODD, *sentences[:400]]
    assert len(texts) > 300
    assert encode(texts, random=0, tokenizer="world") == [oracle.encode(text) for text in texts]


def test_world_bytes_by_hand():
    # the first 256 ids of the vocabulary are the single bytes, from 1
    assert encode(["\x00", "a", "\x7f"], random=0, tokenizer="world") == [[1], [98], [128]]


def test_bytes_are_utf8_by_hand():
    assert encode(["aé", "€\n"], random=0, tokenizer="bytes") == [[97, 195, 169], [226, 130, 172, 10]]


def test_utf16_le_by_hand():
    assert encode(["aé", "€", "😀"], random=0, tokenizer="utf-16-le") == [[97, 0, 233, 0], [172, 32], [61, 216, 0, 222]]


def test_gpt2_gives_the_known_ids(testdata):
    spec = {"kind": "gpt2", "path": str(testdata / "gpt2")}
    assert encode(["The cat sat on the mat"], random=0, tokenizer=spec) == [[464, 3797, 3332, 319, 262, 2603]]


def test_gpt2_against_transformers(testdata, sentences):
    from transformers import GPT2Tokenizer

    oracle = GPT2Tokenizer(str(testdata / "gpt2" / "vocab.json"), str(testdata / "gpt2" / "merges.txt"))
    texts = [*ODD, *sentences[:100]]
    assert encode(texts, random=0, tokenizer={"kind": "gpt2", "path": str(testdata / "gpt2")}) == oracle(texts)["input_ids"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small BPE tokenizer that puts [CLS] and [SEP] around a text, in the hub's layout."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.train_from_iterator(["the cat sat on the mat", "the dog sat"], trainers.BpeTrainer(special_tokens=["[UNK]", "[CLS]", "[SEP]"], vocab_size=60))
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    target = tmp_path_factory.mktemp("tokenizer")
    PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]").save_pretrained(target)
    return target


def test_hf_against_the_tokenizer_that_was_saved(folder):
    from tokenizers import Tokenizer

    oracle = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = ["the cat sat", "a dog on the mat", "unknown @ letters"]
    plain = [oracle.encode(text, add_special_tokens=False).ids for text in texts]
    assert encode(texts, path=str(folder)) == plain
    assert encode(texts, path=str(folder), special_tokens=True) == [[1, *ids, 2] for ids in plain]


def test_hf_leaves_out_special_tokens_unless_they_are_asked_for(folder):
    without, with_them = (encode(["the cat"], path=str(folder), special_tokens=asked)[0] for asked in (False, True))
    assert with_them == [1, *without, 2]
    assert not {1, 2} & set(without)


def test_hf_may_come_from_another_folder_than_the_weights(folder):
    spec = {"kind": "hf", "path": str(folder)}
    assert encode(["the cat"], random=0, tokenizer=spec) == encode(["the cat"], path=str(folder))


def test_bos_comes_before_every_sentence_and_counts_as_a_token():
    assert encode(["ab", "c"], bos=0, random=0, tokenizer="bytes") == [[0, 97, 98], [0, 99]]
    assert encode([""], bos=7, random=0, tokenizer="bytes") == [[7]]
    with pytest.raises(ValueError, match=r"max_tokens = 2; the longest has 3 tokens"):
        tokenizers.tokenize(["ab"], tokenizer_of(Model(random=0, tokenizer="bytes"), "m"), Tokenize(2, False), bos=0)


def test_a_sentence_as_long_as_the_limit_is_neither_refused_nor_cut():
    ids, truncated = tokenizers.tokenize(["abc", "a"], tokenizer_of(Model(random=0, tokenizer="bytes"), "m"), Tokenize(3, False))
    assert [one.tolist() for one in ids] == [[97, 98, 99], [97]]
    assert truncated.tolist() == [False, False]


def test_ids_are_int32_and_a_sentence_keeps_its_place():
    texts = ["bb", "a", "ccc", "a"]
    ids, _ = tokenizers.tokenize(texts, tokenizer_of(Model(random=0, tokenizer="bytes"), "m"), LIMIT)
    assert {one.dtype for one in ids} == {np.dtype(np.int32)}
    assert [bytes(one.tolist()).decode() for one in ids] == texts


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
    found = [tokenizer_of(entry, "m").fingerprint for entry in entries]
    assert all(a != b for i, a in enumerate(found) for b in found[:i])
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert tokenizer_of(Model(path=str(copy)), "m").fingerprint == found[4]
    changed = json.loads((copy / "tokenizer.json").read_text())
    ids = changed["model"]["vocab"]
    ids["a"], ids["t"] = ids["t"], ids["a"]
    (copy / "tokenizer.json").write_text(json.dumps(changed))
    assert tokenizer_of(Model(path=str(copy)), "m").fingerprint != found[4]


def test_written_tokens_read_back_as_they_were(tmp_path):
    ids = [np.array(one, dtype=np.int32) for one in ([5, 6, 7], [1], [65535, 0])]
    truncated = np.array([False, True, False])
    info = {"tokenizer": {"kind": "bytes"}, "bos": None}
    tokenizers.write(tmp_path / "a" / "tokens.parquet", np.array([4, 0, 9]), ids, [["a"] * len(one) for one in ids], truncated, info)
    found_sentences, found_ids, found_truncated, found_info = tokenizers.read(tmp_path / "a" / "tokens.parquet")
    assert found_sentences.tolist() == [4, 0, 9]
    assert [one.tolist() for one in found_ids] == [[5, 6, 7], [1], [65535, 0]]
    assert {one.dtype for one in found_ids} == {np.dtype(np.int32)}
    assert found_truncated.tolist() == [False, True, False]
    assert found_info == info


def test_one_sentence_reads_back_too(tmp_path):
    tokenizers.write(tmp_path / "tokens.parquet", np.array([0]), [np.array([3, 4], dtype=np.int32)], [["c", "d"]], np.array([False]), {})
    assert [one.tolist() for one in tokenizers.read(tmp_path / "tokens.parquet")[1]] == [[3, 4]]


def test_other_tools_read_the_written_tokens(tmp_path):
    tokenizers.write(
        tmp_path / "tokens.parquet", np.array([0, 1]), [np.array([3, 4], np.int32), np.array([5], np.int32)], [["c", "d"], ["e"]], np.array([False, True]), {}
    )
    table = pl.read_parquet(tmp_path / "tokens.parquet")
    assert dict(table.schema) == {"sentence_id": pl.Int64, "ids": pl.List(pl.Int32), "pieces": pl.List(pl.String), "truncated": pl.Boolean}
    assert table["ids"].to_list() == [[3, 4], [5]]


@pytest.mark.parametrize("kind", ["world", "bytes"])
def test_pieces_are_the_text_of_each_token(kind):
    tokenizer = tokenizers.TOKENIZERS[kind](None, False)
    text = "The bank's 25 new branches opened"
    ids = [np.array(one) for one in tokenizer.encode([text, "a"])]
    pieces = tokenizers.pieces_of(ids, tokenizer)
    assert ["".join(one) for one in pieces] == [text, "a"]
    assert [len(one) for one in pieces] == [len(one) for one in ids]


def test_a_token_of_part_of_a_character_has_a_piece_too():
    tokenizer = tokenizers.TOKENIZERS["world"](None, False)
    ids = [np.array(tokenizer.encode(["\U0001f9ff"])[0])]  # not in the vocabulary: several tokens of single bytes
    assert len(tokenizers.pieces_of(ids, tokenizer)[0]) == len(ids[0]) > 1
