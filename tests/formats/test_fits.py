import numpy as np
import pytest

from pipeline.base.errors import InputError
from pipeline.formats import fits

LAYERS = np.array([0, 3, 11])


def drawn(rng, runs=2, dim=5):
    """Parameters of every learned pooling, with numbers of no meaning."""
    shapes = {"attention": (runs, 3, dim), "diagonal": (runs, 3, dim), "scalar_mix": (runs, 3)}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def report_of(parameters):
    curves = {name: {"epoch": [1, 2, 3], "rho_held_out": [0.5, None, -0.25]} for name in parameters}
    return {"model": "toy", "settings": {"runs": 2}, "layers": LAYERS.tolist(), "poolings": curves}


def test_what_is_written_is_read(tmp_path, rng):
    parameters = drawn(rng)
    fits.write(tmp_path / "new" / "folder", parameters, LAYERS, report_of(parameters))
    learned = fits.read(tmp_path / "new" / "folder", "toy")
    assert learned.keys() == parameters.keys() == fits.ARRAYS.keys()
    for pooling, array in parameters.items():
        assert list(learned[pooling]) == [0, 1]
        for run in (0, 1):
            assert list(learned[pooling][run]) == [0, 3, 11]
            for at, layer in enumerate((0, 3, 11)):
                assert learned[pooling][run][layer].dtype == np.float32
                assert np.array_equal(learned[pooling][run][layer], array[run, at])
    assert fits.read_report(tmp_path / "new" / "folder", "toy") == report_of(parameters)


@pytest.mark.parametrize("left", [["diagonal"], ["attention", "scalar_mix"]])
def test_what_was_not_learned_is_not_there(tmp_path, rng, left):
    parameters = {name: array for name, array in drawn(rng).items() if name in left}
    fits.write(tmp_path, parameters, LAYERS, report_of(parameters))
    assert set(fits.read(tmp_path, "toy")) == set(left)


def test_where_nothing_was_learned_the_reason_is_kept(tmp_path):
    fits.write(tmp_path, {}, LAYERS, {"model": "toy", "nothing": "by choice"})
    assert fits.read(tmp_path, "toy") == {}
    assert fits.read_report(tmp_path, "toy")["nothing"] == "by choice"


def test_a_folder_without_a_fit_says_which_stage_makes_one(tmp_path):
    with pytest.raises(InputError, match=r"fit\.json is not there: run the stage that writes it \(dvc repro fit@toy\)"):
        fits.read(tmp_path, "toy")
