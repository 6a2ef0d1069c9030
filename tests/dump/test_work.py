import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from pipeline.base.errors import InputError
from pipeline.dump.gate import sample
from pipeline.dump.work import Sizes, sizes_of, work_of
from pipeline.formats import tokens as token_files
from pipeline.formats.ragged import Ragged
from pipeline.readouts.plain import PLAIN


def test_work_by_hand(model, settings):
    """Three sentences of 2, 1 and 2 tokens: 5 rows of 12 bytes of index and 3 layers of 32 float16."""
    ids = [np.array([1, 2]), np.array([3]), np.array([4, 5])]
    assert sizes_of(model, PLAIN) == Sizes(2, (32,))
    work = work_of(Sizes(2, (32,)), ids, np.array([7, 8, 9]), settings, PLAIN)
    assert (work.layers, work.dim, work.rows) == ([0, 1, 2], 32, 5)
    assert work.total_bytes == 5 * (12 + 3 * 32 * 2)
    assert work.largest_record == 5
    [[record]] = work.shards
    assert [sentences.tolist() for sentences in record] == [[1], [0, 2]]
    assert [column.tolist() for column in work.index(record)] == [[8, 7, 7, 9, 9], [0, 0, 1, 0, 1]]
    assert work.tokens_of(work.shards[0]) == 5


def test_layers_that_the_model_lacks_are_refused(settings):
    with pytest.raises(InputError, match=r"dump\.layers is \[3\]: .*this model has 2 blocks"):
        work_of(Sizes(2, (32,)), [np.array([1])], np.array([0]), replace(settings, layers=[3]), PLAIN)


@pytest.mark.parametrize("length", [3, 60])
@pytest.mark.parametrize("keep", ["tokens", "pooled"])
def test_a_process_holds_few_bytes_of_a_sentence_however_long_it_is(tmp_path, monkeypatch, settings, length, keep):
    monkeypatch.chdir(tmp_path)
    count = 50_000
    offsets = length * np.arange(count + 1)
    ids = Ragged(np.ones(offsets[-1], np.int32), offsets)
    inside = np.tile(np.array([1, length], np.int32), (count, 1))
    written = token_files.Tokens(
        "m", np.arange(count), ids, {1: "a"}, np.zeros(count, bool), {}, spans=inside, slots=inside, ends=((1,), ())
    )
    token_files.write("m.parquet", written)
    del ids, inside, written
    tracemalloc.start()
    read = token_files.read("m.parquet", "m")
    assert sum(map(len, read.plain_of(sample(read.plain_lengths, 200)))) >= 100
    given = replace(settings, keep=keep, batch_tokens=512)
    work = work_of(Sizes(2, (32,)), read.ids, read.sentence_ids, given, PLAIN, read.spans)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert work.read_for(work.shards[0]) > 0
    assert held < 50 * count
    assert peak < 80 * count
