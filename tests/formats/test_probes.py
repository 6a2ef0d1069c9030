import numpy as np
import pytest

from pipeline.base.errors import InputError
from pipeline.formats import probes


def rows_of(rng, pairs=5, layers=(0, None)):
    """A probe and its control at some layers."""
    rows = []
    for layer in layers:
        row = {"probe": "bilinear", "layer": layer, "features": 3, "strength": 0.5, "train": 0.75}
        rows.append(row | {"held_out": 0.7, "permuted": False, "scores": rng.standard_normal(pairs)})
        rows.append(row | {"held_out": None, "permuted": True, "scores": rng.standard_normal(pairs)})
    return rows


def test_what_is_written_is_read(tmp_path, rng):
    rows = rows_of(rng)
    probes.write(tmp_path / "new/p.parquet", "toy", rows, None)
    found = probes.read(tmp_path / "new/p.parquet", "toy", 5, "probe@toy")
    assert found.keys.to_dicts() == [{name: row[name] for name in probes.KEYS} for row in rows]
    assert np.array_equal(found.scores, [row["scores"] for row in rows])
    assert (found.encoder, found.left_out) == ("toy", None)


def test_no_probes_and_the_reason(tmp_path):
    probes.write(tmp_path / "p.parquet", "toy", [], "why not")
    found = probes.read(tmp_path / "p.parquet", "toy", 5, "probe@toy")
    assert found.scores.shape == (0, 5)
    assert found.left_out == "why not"


def without_control(rows):
    return rows[:-1]


def with_infinity(rows):
    return [*rows[:-1], rows[-1] | {"scores": np.full(5, np.inf)}]


@pytest.mark.parametrize(
    ("change", "encoder", "pairs", "complaint"),
    [
        (list, "other", 5, "is of toy, expected other"),
        (list, "toy", 6, "holds 5 scores of a probe, but there are 6 pairs"),
        (without_control, "toy", 5, "has a probe without its control"),
        (with_infinity, "toy", 5, "has a score that is NaN or infinite"),
    ],
)
def test_what_is_foreign_or_not_whole_is_named(tmp_path, rng, change, encoder, pairs, complaint):
    probes.write(tmp_path / "p.parquet", "toy", change(rows_of(rng)), None)
    with pytest.raises(InputError, match=complaint):
        probes.read(tmp_path / "p.parquet", encoder, pairs, "probe@toy")
