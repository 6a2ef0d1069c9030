"""Controls: what they leave as it is, what they change, and that a seed decides it."""

import random
from collections import Counter

import numpy as np
import polars as pl
import pytest
import yaml
from scipy.stats import spearmanr

from pipeline.base.errors import InputError
from pipeline.baselines.overlap import dice
from pipeline.catalog.entries import Dataset, Model, entry
from pipeline.text import controls, encoding, pairs
from pipeline.text.settings import Prepare, Tokenize
from tests.helpers import ROOT

ALL, LIMIT = Prepare(limit=None), Tokenize(max_tokens=1024, truncate=False)
SAMPLE = str(ROOT / "data/sample/hard.tsv")


def drawn_rows(rng, count=120, texts=60, splits=("train", "test")):
    """Rows as read_rows gives them: few texts, so that many pairs share one, some on both sides."""
    names = [f"no. {i}" for i in range(texts)]
    return pl.DataFrame(
        {
            "split": rng.choice(splits, count).tolist(),
            "idx": np.arange(count),
            "sentence1": rng.choice(names[: texts * 2 // 3], count).tolist(),
            "sentence2": rng.choice(names[texts // 3 :], count).tolist(),
            "label": rng.integers(0, 5, count).astype(float),
        }
    )


def read(**fields):
    """The pairs of the sample under an entry with some more fields."""
    return pairs.prepare(Dataset(path=SAMPLE, **fields), "toy", ALL)


def texts_of(prepared):
    """The two sentences of each pair as text."""
    text = prepared.sentences["text"].to_list()
    return [[text[i] for i in prepared.pairs[f"sentence{side}_id"]] for side in (1, 2)]


def overlap_of(prepared):
    return [dice(a, b) for a, b in zip(*texts_of(prepared))]


# order


def test_an_order_is_that_of_the_numbers_that_python_draws_for_the_key():
    draw = random.Random("3 a text")
    drawn = [draw.random() for _ in range(20)]
    assert controls.order(20, 3, "a text") == np.argsort(drawn).tolist()
    assert controls.order(0, 3) == []


def test_every_order_is_as_likely_as_any_other():
    """Six orders of three things, 6,000 seeds: each count has a standard error of 29."""
    counts = Counter(tuple(controls.order(3, seed, "x")) for seed in range(6000))
    assert len(counts) == 6
    assert all(abs(count - 1000) < 6 * 29 for count in counts.values())


# words


def test_a_shuffled_sentence_by_hand():
    """The first is what this seed gave when it was written: it is to give that on every machine."""
    assert controls.shuffled_words("  one two\tthree four ", 1) == "  two one\tthree four "
    assert controls.shuffled_words("a\n", 5) == "a\n"
    assert controls.shuffled_words("", 5) == ""


@pytest.mark.parametrize("given", [0, 1, -7])
def test_a_shuffled_sentence_has_the_same_words_white_space_and_bytes(rng, given):
    alphabet = list("ab é日 \t\n\u00a0")
    for _ in range(200):
        text = "".join(rng.choice(alphabet, rng.integers(0, 30)))
        shuffled = controls.shuffled_words(text, given)
        assert Counter(shuffled.split()) == Counter(text.split())
        assert [c for c in shuffled if c.isspace()] == [c for c in text if c.isspace()]
        assert len(shuffled.encode()) == len(text.encode())


def test_most_sentences_change_and_another_seed_changes_them_otherwise():
    texts = read().sentences["text"].to_list()
    orders = [[controls.shuffled_words(text, seed) for text in texts] for seed in (0, 1)]
    for one, other in ((texts, orders[0]), (orders[0], orders[1])):
        assert np.mean([a != b for a, b in zip(one, other)]) > 0.99


@pytest.mark.parametrize("kind", ["world", "bytes"])
def test_the_tokens_of_shuffled_words_are_those_of_the_shuffled_text(kind):
    table = pl.DataFrame({"sentence_id": range(3), "text": ["the cat sat on the mat", "a b c d", "one"]})
    plain = Model(random=0, tokenizer=kind, bos=0)
    given = encoding.tokenize(table, Model(random=0, tokenizer=kind, bos=0, shuffle_words=4), "m", LIMIT)
    by_hand = table.with_columns(pl.Series("text", [controls.shuffled_words(text, 4) for text in table["text"]]))
    wanted, original = (encoding.tokenize(texts, plain, "m", LIMIT) for texts in (by_hand, table))
    assert [ids.tolist() for ids in given.ids] == [ids.tolist() for ids in wanted.ids]
    assert [ids.tolist() for ids in given.ids] != [ids.tolist() for ids in original.ids]
    assert given.pieces == wanted.pieces
    assert given.fingerprint == {"tokenizer": original.fingerprint["tokenizer"] | {"shuffle_words": 4}, "bos": 0}


def test_the_order_of_a_sentence_does_not_depend_on_those_beside_it():
    texts = ["the cat sat on the mat", "a b c d e f", "one two three four"]
    ids = {}
    for chosen in ([0, 1, 2], [2, 0], [1]):
        table = pl.DataFrame({"sentence_id": range(len(chosen)), "text": [texts[i] for i in chosen]})
        made = encoding.tokenize(table, Model(random=0, tokenizer="bytes", shuffle_words=0), "m", LIMIT)
        for i, tokens in zip(chosen, made.ids):
            assert ids.setdefault(i, tokens.tolist()) == tokens.tolist()


def test_a_shuffled_sentence_is_cut_after_it_is_shuffled():
    text = "one two three four five six"
    table = pl.DataFrame({"sentence_id": [0], "text": [text]})
    cut = encoding.tokenize(table, Model(random=0, tokenizer="bytes", shuffle_words=2), "m", Tokenize(9, True))
    assert bytes(cut.ids[0].tolist()).decode() == controls.shuffled_words(text, 2)[:9]
    entry = Model(path=str(ROOT / "data/demo/model"), shuffle_words=2)
    whole, cut = (encoding.tokenize(table, entry, "m", limit).ids[0].tolist() for limit in (LIMIT, Tokenize(4, True)))
    assert cut == whole[:4]


# labels


def test_permuted_labels_are_those_of_the_split_and_nothing_else_changes(rng):
    rows = drawn_rows(rng)
    permuted = controls.permuted_labels(rows, 3)
    assert permuted.drop("label").equals(rows.drop("label"))
    for split in ("train", "test"):
        before, after = (table.filter(split=split)["label"].to_list() for table in (rows, permuted))
        assert after == [before[i] for i in controls.order(len(before), 3, split)]
        assert Counter(after) == Counter(before)
        assert after != before


def test_permuted_labels_leave_sentences_and_components_of_the_sample():
    plain, permuted = read(), read(permute_labels=0)
    assert permuted.sentences.equals(plain.sentences)
    assert permuted.pairs.drop("label").equals(plain.pairs.drop("label"))
    assert (permuted.pairs["label"] != plain.pairs["label"]).mean() > 0.3
    assert permuted.info == plain.info | {"control": {"permute_labels": 0}}


# pairs


def test_random_pairs_against_a_plain_loop(rng):
    """The same order, and changes of place, with lists and no sets."""
    rows = drawn_rows(rng, count=90)
    paired = controls.paired_at_random(rows, 5, "toy")
    assert paired.drop("sentence2").equals(rows.drop("sentence2"))
    whole = list(zip(rows["sentence1"], rows["sentence2"]))
    for split in ("train", "test"):
        of_split = rows.filter(split=split)
        old, new = of_split["sentence2"].to_list(), paired.filter(split=split)["sentence2"].to_list()
        firsts = of_split["sentence1"].to_list()
        distinct = list(dict.fromkeys(old))
        taken = [distinct[i] for i in controls.order(len(distinct), 5, split)]

        def bad(text, other, firsts=firsts, old=old):
            met = [a for a, b in zip(firsts, old) if b == text]
            return any(a == other or (a, other) in whole or (other, a) in whole for a in met)

        for i in range(len(distinct)):
            if bad(distinct[i], taken[i]):
                for j in [*range(i + 1, len(distinct)), *range(i)]:
                    if not bad(distinct[i], taken[j]) and not bad(distinct[j], taken[i]):
                        taken[i], taken[j] = taken[j], taken[i]
                        break
        assert new == [taken[distinct.index(text)] for text in old]


def test_no_sentence_meets_itself_or_a_partner_and_all_stay_in_their_split(rng):
    for seed in range(20):
        rows = drawn_rows(rng)
        paired = controls.paired_at_random(rows, seed, "toy")
        known = set(zip(rows["sentence1"], rows["sentence2"])) | set(zip(rows["sentence2"], rows["sentence1"]))
        met = list(zip(paired["sentence1"], paired["sentence2"]))
        assert not known & set(met)
        assert all(a != b for a, b in met)
        for split in ("train", "test"):
            before, after = (set(table.filter(split=split)["sentence2"]) for table in (rows, paired))
            assert before == after


def test_components_are_as_large_as_they_were_where_no_text_is_on_both_sides(rng):
    rows = drawn_rows(rng, count=60, splits=("train",))
    rows = rows.with_columns(sentence2="second: " + pl.col("sentence2"))
    paired = controls.paired_at_random(rows, 1, "toy")
    sizes = []
    for table in (rows, paired):
        ids = {text: i for i, text in enumerate([*table["sentence1"], *table["sentence2"]])}
        first, second = (np.array([ids[text] for text in table[f"sentence{side}"]]) for side in (1, 2))
        sizes.append(sorted(np.bincount(pairs.components(first, second, len(table) * 2))))
    assert sizes[0] == sizes[1]


def test_two_pairs_exchange_their_second_sentences_and_one_cannot():
    rows = pl.DataFrame({"split": ["a"] * 2, "sentence1": ["p", "q"], "sentence2": ["r", "s"], "label": [0.0, 1.0]})
    assert controls.paired_at_random(rows, 0, "toy")["sentence2"].to_list() == ["s", "r"]
    message = r"dataset toy: the pairs of split a cannot be paired at random, since 'r' finds no .*`splits`"
    with pytest.raises(InputError, match=message):
        controls.paired_at_random(rows[:1], 0, "dataset toy")
    crossed = rows.with_columns(sentence1=pl.lit("p"))  # every first sentence is paired with every second one
    with pytest.raises(InputError, match="cannot be paired at random"):
        controls.paired_at_random(crossed, 0, "dataset toy")


# both, on the sample


@pytest.mark.parametrize("field", ["permute_labels", "pair_at_random"])
def test_a_seed_gives_the_same_pairs_every_time_and_another_seed_others(field):
    first, again, other = (read(**{field: seed}) for seed in (0, 0, 1))
    assert first.pairs.equals(again.pairs)
    assert first.sentences.equals(again.sentences)
    assert first.info == again.info
    assert not first.pairs.equals(other.pairs)
    assert first.info["control"] == {field: 0}


@pytest.mark.parametrize("field", ["permute_labels", "pair_at_random"])
def test_rho_of_word_overlap_is_near_zero_and_is_not_where_labels_are_planted(tmp_path, rng, field):
    """Labels that are the overlap itself: without the control rho is 1. Under permutation rho has a standard error of
    1 / sqrt(n - 1); pairs that share a sentence are not independent, so it is taken from components.
    """
    plain = read()
    planted = overlap_of(plain)
    rows = pl.read_csv(SAMPLE, separator="\t", quote_char=None).with_columns(label=pl.Series(planted))
    rows.write_parquet(tmp_path / "rows.parquet")
    found = {}
    for name, fields in (("plain", {}), ("control", {field: int(rng.integers(1 << 30))})):
        prepared = pairs.prepare(Dataset(path=str(tmp_path / "rows.parquet"), **fields), "toy", ALL)
        found[name] = prepared, spearmanr(overlap_of(prepared), prepared.pairs["label"]).statistic
    assert found["plain"][1] == pytest.approx(1)
    assert abs(found["control"][1]) < 6 / np.sqrt(found["control"][0].info["components"] - 1)


def test_a_limit_comes_before_a_control():
    for field in ("permute_labels", "pair_at_random"):
        some = pairs.prepare(Dataset(path=SAMPLE, **{field: 0}), "toy", Prepare(limit=30))
        plain = pairs.prepare(Dataset(path=SAMPLE), "toy", Prepare(limit=30))
        assert set(some.sentences["text"]) == set(plain.sentences["text"])
        assert sorted(some.pairs["label"]) == sorted(plain.pairs["label"])


def test_the_entries_of_the_catalogue_are_the_sample_with_a_control():
    catalog = ROOT / "catalog.yaml"
    listed = yaml.safe_load(catalog.read_text())["datasets"]
    assert listed["sample-permuted-labels"] == listed["sample"] | {"permute_labels": 0}
    assert listed["sample-random-pairs"] == listed["sample"] | {"pair_at_random": 0}
    assert entry("datasets", "sample", catalog).control is None
    assert entry("datasets", "sample-random-pairs", catalog).control == {"pair_at_random": 0}
