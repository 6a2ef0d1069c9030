from pathlib import Path

import pytest
import yaml

from pipeline.base.settings import Study
from pipeline.check import stale

STUDY = Study(dataset="toy", models=["kept"], baselines=["words"], pooling="mean")


@pytest.fixture
def workspace(tmp_path):
    """Results of a model and a baseline that are named, and of a model and a baseline that are not."""
    outs = []
    for model in ("kept", "gone"):
        outs += [f"data/pooled/{model}/vectors.parquet", f"data/tokens/{model}.parquet", f"data/manifests/{model}.json"]
        outs += [f"data/probes/{model}.parquet", f"data/unembeddings/{model}.safetensors"]
        outs += [f"data/fitted/{model}", f"data/sweeps/{model}", f"data/states/{model}"]
    outs += ["data/baselines/words", "data/baselines/letters"]
    for out in outs:
        file = tmp_path / out / "file" if "." not in Path(out).name else tmp_path / out
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("something")
    stages = {f"stage-{i}": {"outs": [{"path": out}]} for i, out in enumerate(outs)}
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    return tmp_path


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_is_not_named_is_put_away_and_the_rest_stays(workspace):
    before = files(workspace)
    put_away = stale.put_away(STUDY, workspace)
    assert stale.summary(put_away).endswith("results of gone, letters (DVC's cache has them)")
    removed = {path.relative_to(workspace).as_posix() for path in put_away}
    folders = ("data/fitted", "data/pooled", "data/sweeps")
    expected = {f"{folder}/gone" for folder in folders} | {"data/manifests/gone.json", "data/tokens/gone.parquet"}
    expected |= {"data/probes/gone.parquet", "data/unembeddings/gone.safetensors"}
    assert removed == expected | {"data/baselines/letters"}
    gone = before - files(workspace)
    assert all("gone" in name or "letters" in name for name in gone)
    assert "data/states/gone/file" in files(workspace)  # no stage reads that folder as a whole, and it may be large
    assert stale.put_away(STUDY, workspace) == []


def test_what_dvc_has_no_record_of_stays(workspace):
    (workspace / "data/pooled/by-hand").mkdir()
    (workspace / "data/pooled/by-hand/vectors.parquet").write_text("mine")
    removed = stale.put_away(STUDY, workspace)
    assert workspace / "data/pooled/by-hand" not in removed
    assert (workspace / "data/pooled/by-hand/vectors.parquet").read_text() == "mine"


def test_without_a_lock_file_nothing_is_put_away(workspace):
    (workspace / "dvc.lock").unlink()
    before = files(workspace)
    assert stale.put_away(STUDY, workspace) == []
    assert files(workspace) == before
