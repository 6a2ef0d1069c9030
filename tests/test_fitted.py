import numpy as np
import pytest

from pipeline import fitted

LAYERS = np.array([0, 3, 11])


def drawn(runs=2, dim=5):
    """Parameters of every learned pooling, with numbers of no meaning."""
    rng = np.random.default_rng()
    shapes = {"attention": (runs, 3, dim), "diagonal": (runs, 3, dim), "scalar_mix": (runs, 3)}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def test_what_is_written_is_read(tmp_path):
    parameters, about = drawn(), {"settings": {"runs": 2}, "poolings": {"attention": {"epoch": [[1, 2, 3]], "rho_held_out": [[0.5, None, -0.25]]}}}
    fitted.write(tmp_path / "new" / "folder", parameters, LAYERS, about)
    found = fitted.read(tmp_path / "new" / "folder")
    assert found.keys() == parameters.keys() == fitted.NAMES.keys()
    for pooling, array in parameters.items():
        assert list(found[pooling]) == [0, 1]
        for run in (0, 1):
            assert list(found[pooling][run]) == [0, 3, 11]
            for at, layer in enumerate((0, 3, 11)):
                one = found[pooling][run][layer]
                assert one.dtype == np.float32
                assert np.array_equal(one, array[run, at])
    assert fitted.about(tmp_path / "new" / "folder") == about


@pytest.mark.parametrize("left", [[], ["diagonal"], ["attention", "scalar_mix"]])
def test_what_was_not_learned_is_not_there(tmp_path, left):
    fitted.write(tmp_path, {name: one for name, one in drawn().items() if name in left}, LAYERS, {"nothing": "by choice"})
    assert set(fitted.read(tmp_path)) == set(left)
    assert fitted.about(tmp_path) == {"nothing": "by choice"}


def test_a_folder_without_a_fit_has_no_parameters_and_no_settings(tmp_path):
    assert fitted.read(tmp_path) == {}
    with pytest.raises(FileNotFoundError, match=r"fit\.json"):
        fitted.about(tmp_path)
