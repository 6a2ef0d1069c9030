"""The command `drillcore` in this process: what it says, and what it refuses."""

import os
import re

import pytest
import yaml

from pipeline.base.errors import InputError
from pipeline.command import app, study
from tests.command.conftest import COLUMNS, drillcore
from tests.helpers import ROOT, contents
from tests.study import run_all

COMMANDS = ["run", "check", "describe", "catalog", "compare", "plots", "export", "clean"]
DRY = ["run", "pairs.csv", "tiny", *COLUMNS, "--dry-run"]


def test_help_names_every_subcommand_and_fits_a_terminal(say):
    status, out, _ = say("--help")
    assert status == 0
    assert re.findall(r"^  (\w+)  +\S", out.split("Commands:")[1], re.MULTILINE) == COMMANDS
    assert "--install-completion" in out
    assert "..." not in out.split("Commands:")[1]  # no summary is cut


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_subcommand_has_examples_where_it_takes_words(say, command):
    status, out, _ = say(command, "-h")
    assert status == 0
    assert max(map(len, out.splitlines())) <= 100
    examples = re.findall(rf"^    drillcore {command} .*$", out, re.MULTILINE)
    assert len(examples) >= (3 if command in ("run", "compare", "export") else 0)


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(folder, say):
    before = contents(folder)
    status, out, err = say(*DRY, "--limit", "5", "--baseline", "random")
    assert (status, err) == (1, "error: --baseline is 'random', no baseline of catalog.yaml: expected one of overlap\n")
    status, out, err = say(*DRY, "--limit", "5")
    assert (status, err) == (0, "")
    assert "catalog.yaml: dataset pairs: path pairs.csv, columns sentence1 question" in out
    assert "params.yaml: dataset: sample -> pairs" in out
    assert "pairs: 10 pairs (train 5, test 5)" in out
    assert out.endswith("nothing was written, and nothing ran (--dry-run)\n")
    assert contents(folder) == before


def test_the_tokens_and_bytes_that_are_foretold_are_those_of_the_dump(folder, say):
    _, out, _ = say("run", "sample", "tiny", "--limit", "5", "--dry-run")
    params = yaml.safe_load((folder / "params.yaml").read_text()) | {"prepare": {"limit": 5}, "baselines": ["overlap"]}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    run_all(folder)
    manifest = yaml.safe_load((folder / "data/manifests/tiny.json").read_text())
    tokens, layers, width = manifest["tokens"], len(manifest["layers"]), manifest["dim"]
    assert f"tiny: 2 blocks of width {width}, {tokens:,} tokens; " in out
    vectors = manifest["sentences"] * layers * width * 4
    expected = sum(shard["bytes"] for shard in manifest["shards"]) + vectors
    assert f"disk: {round(expected / 1000)} kB;" in out


def test_more_sentences_take_more_of_the_same(folder, say):
    """Before anything has run, when one wants to know."""
    params = yaml.safe_load((folder / "params.yaml").read_text()) | {"prepare": {"limit": 5}, "pool": {"store": "int8"}}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    status, out, err = say("describe", "--sentences", "1000000", "--speed", "1000")
    assert (status, err) == (0, "")
    sentences = int(re.search(r"(\d+) distinct sentences", out)[1])
    read = 1e6 * int(re.search(r"tiny: .*, ([\d,]+) tokens;", out)[1].replace(",", "")) / sentences
    assert f"1,000,000 sentences like these:\ntiny: {read / 1e6:.0f} million tokens\n  states: " in out
    assert "stages: all\n" in out
    numbers = 3 * 16  # of a vector at all layers
    assert " (dump.keep: tokens)\n" in out
    assert (
        f"  vectors: {numbers} MB (pool.store: int8), and {4 * numbers} MB beside them while they are pooled\n" in out
    )
    assert f"about {read / 1000 / 3600:.0f} hours of one device at 1,000 tokens a second" in out
    assert "of one device" not in say("describe", "--sentences", "10")[1]
    assert "sentences like these" not in say("describe")[1]
    assert say("describe", "--sentences", "0")[0] != 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["run", "samle", "tiny"], "PAIRS is 'samle', .* did you mean sample"),
        (["run", "sample", "tny"], "MODEL is 'tny', .* did you mean tiny"),
        (["run", "sample", "tiny", "--pooling", "men", "--dry-run"], "pooling is 'men': did you mean mean"),
        (["run", "sample", "tiny", "--limit", "1"], "prepare.limit is 1: at least 2 pairs"),
        (["run", "sample", "tiny", "other", "--model-name", "x"], "--model-name is for one MODEL"),
        (["catalog", "model"], "the kind of names is 'model': did you mean models"),
        (["compare", "HEAD"], "one experiment .* is nothing to compare"),
        (["compare", "HEAD:", "HEAD"], "'HEAD:' is no experiment"),
        (["compare", "workspace", "workspace"], "data/pairs/pairs.parquet is not there"),
        (["export", "tny", "x.npy"], "MODEL is 'tny': did you mean tiny"),
        (["export", "tiny", "x.npy"], "no layer was chosen: give --layer"),
        (["export", "tiny", "x.csv", "--layer", "0"], "the ending of x.csv is '.csv': did you mean"),
        (["clean", "--remove", "0"], "a key to remove from .*: there are none to choose from"),
    ],
)
def test_bad_input_is_one_line_and_with_debug_a_traceback(folder, say, words, complaint):
    before = contents(folder)
    status, _, err = say(*words)
    assert status == 1
    assert re.match(f"error: .*{complaint}", err), err
    assert err.count("\n") == 1
    with pytest.raises(InputError):
        say("--debug", *words)
    assert contents(folder) == before


def test_an_engine_is_that_of_one_run_and_written_nowhere(folder, say, monkeypatch):
    monkeypatch.setenv("DRILLCORE_ENGINE", "local")  # what a run sets is put back
    told = []
    monkeypatch.setattr(study, "repro", lambda: told.append(os.environ["DRILLCORE_ENGINE"]) or 1)
    before = yaml.safe_load((folder / "params.yaml").read_text())
    assert say(*DRY, "--engine", "raz")[2].startswith("error: DRILLCORE_ENGINE is 'raz': did you mean ray?")
    say("run", "sample", "tiny", "--engine", "local")
    assert told == ["local"]
    assert yaml.safe_load((folder / "params.yaml").read_text())["engine"] == before["engine"] == "local"


def test_a_command_that_is_not_there_is_named_with_its_near_miss(say):
    status, _, err = say("chek")
    assert status == 2
    assert "Did you mean 'check'?" in err


def test_elsewhere_one_line_says_where_to_run_it(tmp_path, monkeypatch, say):
    monkeypatch.chdir(tmp_path)
    status, _, err = say("check")
    assert (status, err) == (1, f"error: no dvc.yaml in {tmp_path}: run drillcore in the root of a clone (cd {ROOT})\n")


def test_code_of_another_clone_is_refused(folder, say):
    (folder / "pipeline").mkdir()
    status, _, err = say("check")
    assert status == 1
    assert "python -m pipeline.command instead of drillcore" in err


def test_check_says_everything_that_is_wrong(folder, say):
    assert say("check")[:2] == (0, "params.yaml and catalog.yaml: nothing is wrong\n")
    params = yaml.safe_load((folder / "params.yaml").read_text()) | {"pooling": "men", "models": ["tny"]}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    status, out, err = say("check")
    assert (status, out, err.count("error: ")) == (1, "", 2)


def test_the_catalogue_is_listed_with_sizes_and_licences(folder, say, hub_cache):
    files = {"config.json": b"{}", "README.md": b"---\nlicense: mit\n---\ntext"}
    hub_cache.commit("owner/name", files)
    values = yaml.safe_load((folder / "catalog.yaml").read_text())
    values["models"] |= {"there": {"hub": "owner/name"}, "away": {"hub": "owner/other"}}
    (folder / "catalog.yaml").write_text(yaml.safe_dump(values))
    status, out, _ = say("catalog")
    assert status == 0
    size = (folder / "data/sample/hard.tsv").stat().st_size
    assert f"  sample   {round(size / 1000)} kB     data/sample/hard.tsv" in out
    lines = {line.split()[0]: line.split()[1:] for line in say("catalog", "models")[1].splitlines()[1:]}
    assert lines["there"] == [str(sum(map(len, files.values()))), "bytes", "hub:owner/name", "mit"]
    assert lines["away"] == ["not", "here", "hub:owner/other"]
    assert lines["tiny"] == ["made", "here", "random", "weights", "0"]


def test_a_shell_completes_subcommands(tmp_path):
    done = drillcore(ROOT, "", _DRILLCORE_COMPLETE="complete_bash", COMP_WORDS="drillcore ex", COMP_CWORD="1")
    assert done.stdout.split() == ["export"]


def test_the_console_script_is_declared():
    import tomllib

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"drillcore": f"{app.__name__}:main"}
