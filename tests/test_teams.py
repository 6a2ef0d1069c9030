"""What one clone computed is used in another, through a remote, as docs/howto/teams.md says."""

import re
import shlex

import pytest
import yaml

from tests.helpers import ROOT, run
from tests.study import quick_params

PAGE = (ROOT / "docs/howto/teams.md").read_text()
QUESTIONS = [shlex.split(line)[1:] for line in re.findall(r"^dvc exp run.*$", PAGE, re.MULTILINE)]


def clone(source, folder):
    run(folder.parent, "git", "clone", "-q", str(source), str(folder))
    for key, value in (("user.name", "t"), ("user.email", "t@t")):
        run(folder, "git", "config", key, value)
    return folder


def ran(folder, *command):
    done = run(folder, "dvc", *command)
    return re.findall(r"Running stage '([^']+)'", done.stdout + done.stderr)


@pytest.fixture(scope="module")
def bucket(s3_server):
    """The URL of a place in a bucket, which a server on this machine keeps in memory."""
    pytest.importorskip("dvc_s3", reason="dvc-s3 is not installed (extra s3)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", s3_server)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "anything")
        yield "s3://bucket/drillcore"


@pytest.fixture(scope="module", params=["folder", "bucket"])
def remote(request, tmp_path_factory):
    """What `dvc remote add` gets."""
    return request.getfixturevalue("bucket") if request.param == "bucket" else str(tmp_path_factory.mktemp("remote"))


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """A clone in which the pipeline ran."""
    mine = clone(ROOT, tmp_path_factory.mktemp("team") / "mine")
    params = quick_params() | {"models": ["demo"], "baselines": ["overlap", "random"], "prepare": {"limit": 20}}
    (mine / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    run(mine, "dvc", "repro")
    run(mine, "git", "add", "-f", "dvc.lock")
    run(mine, "git", "add", "-A")
    run(mine, "git", "commit", "-qm", "results")
    return mine


@pytest.fixture
def pushed(mine, remote):
    """The same, once the results were pushed."""
    run(mine, "dvc", "remote", "add", "-f", "-d", "store", remote)
    run(mine, "git", "commit", "-qa", "--allow-empty", "-m", "remote")
    run(mine, "dvc", "push")
    return mine


@pytest.fixture
def theirs(pushed, tmp_path):
    """Another clone, after `make pull`; the uncommitted code of this checkout is not part of the clones."""
    theirs = clone(pushed, tmp_path / "theirs")
    [recipe] = re.findall(r"^\t(.*dvc ls .*dvc pull)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    run(theirs, "bash", "-c", re.sub(r"\$\(RUN\)|\$\(BIN\)/", "", recipe))
    assert not (theirs / "data/states").exists()
    return theirs


@pytest.mark.slow
def test_another_clone_asks_its_own_questions_without_the_token_states(theirs):
    first, second = QUESTIONS
    assert sorted(ran(theirs, *first)) == ["check", "claims", "correlate", "page", "probes", "report", "score"]
    assert not list(theirs.glob("data/states/*/*"))
    run(theirs, "git", "checkout", "-q", "params.yaml")
    of_demo = ["pool@demo", "probe@demo"]
    own = ["check", "claims", "correlate", "page", *of_demo, "probes", "report", "score"]
    assert sorted(ran(theirs, *second)) == own
    assert list(theirs.glob("data/states/demo/*.arrow"))


@pytest.mark.slow
def test_what_was_asked_in_one_clone_is_not_computed_in_another(theirs, pushed):
    assert "dvc push --run-cache\n" in PAGE
    run(pushed, "dvc", *QUESTIONS[1])
    run(pushed, "dvc", "push", "--run-cache")
    run(pushed, "git", "checkout", "params.yaml", "dvc.lock")
    assert ran(theirs, *QUESTIONS[1]) == ["check"]
