from itertools import chain, pairwise

import numpy as np

from pipeline.dump.plan import RECORD_ROWS, plan_shards, rows_of, sentences_of


def test_every_sentence_is_in_one_pass_of_one_length_within_budgets(rng):
    lengths = rng.integers(1, 90, 500)
    plan = plan_shards(lengths, lengths, batch_tokens=100, shard_rows=1500)
    passes = list(chain.from_iterable(record for shard in plan for record in shard))
    assert np.array_equal(np.sort(np.concatenate(passes)), np.arange(500))
    assert all(len(set(lengths[sentences])) == 1 for sentences in passes)
    assert all(lengths[sentences].sum() <= max(100, lengths[sentences[0]]) for sentences in passes)
    assert all(lengths[a[-1]] <= lengths[b[0]] for a, b in pairwise(passes))
    tokens = [lengths[sentences_of(shard)].sum() for shard in plan]
    assert max(tokens) <= 1500
    assert len(tokens) > 5
    assert tokens == [sum(rows_of(record, lengths) for record in shard) for shard in plan]


def test_by_hand():
    """Lengths 2, 1, 2, 1, 2: at most 4 tokens a pass and 5 rows a shard."""
    lengths = np.array([2, 1, 2, 1, 2])
    plan = plan_shards(lengths, lengths, batch_tokens=4, shard_rows=5)
    shards = [[[sentences.tolist() for sentences in record] for record in shard] for shard in plan]
    assert shards == [[[[1, 3]]], [[[0, 2]]], [[[4]]]]


def test_a_sentence_longer_than_every_budget_has_a_shard_of_its_own():
    lengths = np.array([5, 7000])
    plan = plan_shards(lengths, lengths, batch_tokens=100, shard_rows=50)
    assert [[sentences.tolist() for sentences in record] for shard in plan for record in shard] == [[[0]], [[1]]]


def test_record_batches_are_closed_before_they_are_too_large():
    lengths = np.full(3 * RECORD_ROWS, 2)
    [shard] = plan_shards(lengths, lengths, batch_tokens=100, shard_rows=10**9)
    assert len(shard) == 6
    assert max(rows_of(record, lengths) for record in shard) <= RECORD_ROWS


def test_rows_of_one_a_sentence_fill_shards_with_sentences():
    lengths, rows = np.full(100, 7), np.ones(100, dtype=int)
    plan = plan_shards(lengths, rows, batch_tokens=21, shard_rows=30)
    assert [len(sentences_of(shard)) for shard in plan] == [30, 30, 30, 10]
