import pickle
from itertools import chain, groupby, pairwise

import numpy as np
import pytest

from pipeline.dump.plan import RECORD_ROWS, plan_shards, rows_of, sentences_of


def slow(shapes, rows, batch_tokens, shard_rows, record_rows):
    """The plan as lists. shapes: the length of each sentence, and its span where there is one; rows: those of each."""
    record_rows, passes = min(record_rows, shard_rows), []
    for shape, same in groupby(sorted(range(len(shapes)), key=lambda i: (shapes[i], i)), key=lambda i: shapes[i]):
        sentences = list(same)
        size = max(1, min(batch_tokens // shape[0], record_rows // rows[sentences[0]]))
        passes += [sentences[start : start + size] for start in range(0, len(sentences), size)]
    records = closed(passes, record_rows, lambda sentences: sum(rows[i] for i in sentences))
    return closed(records, shard_rows, lambda record: sum(rows[i] for i in chain.from_iterable(record)))


def closed(items, budget, size):
    """Items in groups, each closed before it is too large."""
    groups, used = [], budget
    for item in items:
        used += size(item)
        if used > budget or not groups:
            groups.append([])
            used = size(item)
        groups[-1].append(item)
    return groups


@pytest.mark.parametrize("longest", [1, 4, 30])
@pytest.mark.parametrize("with_spans", [False, True])
@pytest.mark.parametrize("batch_tokens", [1, 20, 10**12])
@pytest.mark.parametrize(("record_rows", "shard_rows"), [(1, 1), (40, 15), (40, 100), (4000, 10**12)])
def test_it_is_the_plan_of_a_slow_definition(rng, longest, with_spans, batch_tokens, record_rows, shard_rows):
    lengths = rng.integers(1, longest + 1, 200).astype(np.int32)
    start = rng.integers(0, lengths)
    spans = np.stack([start, rng.integers(start + 1, lengths + 1)], axis=1) if with_spans else None
    shapes = np.column_stack([lengths] if spans is None else [lengths, spans]).tolist()
    for rows in (np.ones_like(lengths), spans[:, 1] - spans[:, 0] if with_spans else lengths):
        plan = plan_shards(lengths, rows, batch_tokens, shard_rows, spans, record_rows)
        found = [[[sentences.tolist() for sentences in record] for record in shard] for shard in plan]
        assert found == slow(shapes, rows.tolist(), batch_tokens, shard_rows, record_rows)
        assert plan.rows_of_records(rows).tolist() == [rows_of(record, rows) for shard in plan for record in shard]


def test_a_plan_is_a_few_arrays_however_many_passes_it_has(rng):
    lengths = rng.integers(1, 90, 20_000)
    for batch_tokens, most in ((1, 14), (512, 6)):  # 4 bytes are the place of a sentence, 8 that of a pass
        plan = plan_shards(lengths, lengths, batch_tokens, 10**9)
        buffers = []
        assert len(pickle.dumps(plan, protocol=5, buffer_callback=buffers.append)) < 1000
        assert sum(buffer.raw().nbytes for buffer in buffers) < most * len(lengths)


def test_shards_are_counted_as_those_of_a_list():
    lengths = np.full(5, 2)
    plan = plan_shards(lengths, lengths, batch_tokens=2, shard_rows=2)
    assert len(plan) == 5
    assert [[record[0].tolist() for record in plan[i]] for i in (0, 4, -1)] == [[[0]], [[4]], [[4]]]
    with pytest.raises(IndexError):
        plan[5]


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
