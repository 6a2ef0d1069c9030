import numpy as np
import pytest

from pipeline.base.errors import InputError
from pipeline.formats import vectors
from tests.helpers import contents
from tests.pool.dumps import run_fit, run_pool, set_params, write_project


@pytest.fixture
def project(tmp_path, rng, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_project(tmp_path, rng, pooling="mean")
    set_params(fit={"runs": 2, "epochs": 1, "batch_pairs": 4})


def pooled(model):
    return vectors.read(f"data/pooled/{model}/vectors.parquet", f"pool@{model}")


def test_the_pooling_of_the_study_is_written(project):
    run_fit()
    for name in ("mean", "sif", "attention_1", "scalar_mix"):
        set_params(pooling=name)
        run_pool()
        assert pooled("toy").info == vectors.Info("toy", name, layers=name != "scalar_mix")


def test_the_type_is_that_of_the_settings(project):
    run_fit()
    for store in ("float32", "float16", "int8"):
        set_params(pool={"store": store})
        run_pool()
        assert pooled("toy").precision.store == store


def test_a_control_without_a_fit_is_pooled_by_the_mean_and_that_is_said(project, capsys):
    run_fit("untrained")
    run_pool("untrained")
    by_mean = pooled("untrained").layer(2)
    capsys.readouterr()
    set_params(pooling="attention")
    run_pool("untrained")
    assert capsys.readouterr().err == (
        "untrained: pooled by the mean, since attention is not learned for controls (fit.controls)\n"
    )
    assert pooled("untrained").info == vectors.Info("untrained", "mean", True)
    assert np.array_equal(pooled("untrained").layer(2), by_mean)


def test_a_control_that_was_asked_for_is_pooled_as_every_model(project, capsys):
    set_params(fit={"controls": True}, pooling="attention")
    run_fit("untrained")
    run_pool("untrained")
    assert pooled("untrained").info.pooling == "attention"
    assert "pooled by the mean" not in capsys.readouterr().err


def test_an_unknown_pooling_is_refused_with_the_known_ones(project):
    run_fit()
    run_pool()
    before = contents("data")
    set_params(pooling="men")
    with pytest.raises(InputError, match=r"pooling is 'men': did you mean mean.*Expected one of mean, last, last_K"):
        run_pool()
    assert contents("data") == before


def test_what_was_not_learned_is_refused_for_a_model_that_is_no_control(project):
    set_params(fit={"poolings": []}, pooling="attention")
    run_fit()
    with pytest.raises(InputError, match=r"pooling attention was not fitted \(0 runs of attention\)"):
        run_pool()
