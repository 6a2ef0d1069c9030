import numpy as np
import pytest

from pipeline.base.errors import InputError
from pipeline.formats import unembeddings
from pipeline.formats.unembeddings import Unembedding


def draw(rng, dim=6):
    directions = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    values = np.sort(rng.random(dim))[::-1]
    return Unembedding(*(part.astype(np.float32) for part in (directions, values, rng.random(dim))), centred=True)


@pytest.mark.parametrize("centred", [True, False])
def test_what_is_read_is_what_was_written(tmp_path, rng, centred):
    drawn = draw(rng)
    drawn = Unembedding(drawn.directions, drawn.singular_values, drawn.gain, centred)
    unembeddings.write(tmp_path / "m.safetensors", drawn, "m")
    found = unembeddings.read(tmp_path / "m.safetensors", "m")
    for name, value in vars(drawn).items():
        assert np.array_equal(getattr(found, name), value)


def test_the_same_is_the_same_bytes(tmp_path, rng):
    drawn = draw(rng)
    for name in ("a", "b"):
        unembeddings.write(tmp_path / name, drawn, "m")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_model_without_one_says_why_in_its_file(tmp_path):
    unembeddings.write(tmp_path / "m.safetensors", "it has no head", "m")
    assert unembeddings.read(tmp_path / "m.safetensors", "m") is None
    assert b"it has no head" in (tmp_path / "m.safetensors").read_bytes()


def test_files_that_are_not_what_was_written_are_refused_with_the_stage(tmp_path, rng):
    path = tmp_path / "m.safetensors"
    with pytest.raises(InputError, match=r"m\.safetensors is not there: .*dvc repro dump@m"):
        unembeddings.read(path, "m")
    unembeddings.write(path, draw(rng), "m")
    with pytest.raises(InputError, match=r"is the unembedding of m: .*dvc repro -f -s dump@other"):
        unembeddings.read(path, "other")
    intact = path.read_bytes()
    for damaged in (intact[:-9] + bytes([intact[-9] ^ 1]) + intact[-8:], intact[:40], b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"(cannot be read|is not what was written).*dvc repro dump@m"):
            unembeddings.read(path, "m")
