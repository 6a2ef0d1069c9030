from dataclasses import replace

import numpy as np
import pytest

from pipeline.base.errors import InputError
from pipeline.dump.work import Sizes, sizes_of, work_of
from pipeline.readouts.plain import PLAIN


def test_work_by_hand(model, settings):
    """Three sentences of 2, 1 and 2 tokens: 5 rows of 12 bytes of index and 3 layers of 32 float16."""
    ids = [np.array([1, 2]), np.array([3]), np.array([4, 5])]
    assert sizes_of(model, PLAIN) == Sizes(2, (32,))
    work = work_of(Sizes(2, (32,)), ids, np.array([7, 8, 9]), settings, PLAIN)
    assert (work.layers, work.dim, work.rows.tolist()) == ([0, 1, 2], 32, [2, 1, 2])
    assert work.total_bytes == 5 * (12 + 3 * 32 * 2)
    assert work.largest_record == 5
    [[record]] = work.shards
    assert [sentences.tolist() for sentences in record] == [[1], [0, 2]]
    assert [column.tolist() for column in work.index(record)] == [[8, 7, 7, 9, 9], [0, 0, 1, 0, 1]]
    assert work.tokens_of(work.shards[0]) == 5


def test_layers_that_the_model_lacks_are_refused(settings):
    with pytest.raises(InputError, match=r"dump\.layers is \[3\]: .*this model has 2 blocks"):
        work_of(Sizes(2, (32,)), [np.array([1])], np.array([0]), replace(settings, layers=[3]), PLAIN)
