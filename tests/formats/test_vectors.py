"""Some sentences of a layer, a row group at a time."""

import numpy as np
import pyarrow as pa
import pytest

from pipeline.base.errors import InputError
from pipeline.formats import vectors


def write(path, groups):
    """{layer: (S, D)} tables as row groups of one file."""
    with vectors.writer(path, groups[0].schema, vectors.Info("toy", "mean", True)) as sink:
        for group in groups:
            sink.write_table(group)
    return vectors.read(path, "pool@toy")


def test_rows_are_those_of_the_whole_layer(rng, tmp_path):
    layers = {layer: rng.standard_normal((10, 3)).astype(np.float32) for layer in (0, 4)}
    groups = [
        vectors.table({layer: rows[start:stop] for layer, rows in layers.items()}, start)
        for start, stop in ((0, 4), (4, 8), (8, 10))
    ]
    file = write(tmp_path / "v.parquet", groups)
    for some in ([0, 3, 4, 9], [5], [], list(range(10))):
        some = np.array(some, dtype=np.int64)
        assert np.array_equal(file.rows(4, some), layers[4][some])
        assert np.array_equal(file.rows(4, some), file.layer(4)[some])


def test_row_groups_that_do_not_go_on_are_named(tmp_path):
    group = vectors.table({0: np.ones((3, 2))})
    again = group.set_column(0, "sentence_id", pa.array([3, 5, 4]))
    file = write(tmp_path / "v.parquet", [group, again])
    with pytest.raises(InputError, match=r"has sentence ids that do not go on from 3 in order.*pool@toy"):
        file.rows(0, np.array([1]))
