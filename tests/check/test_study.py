"""Everything that can be wrong in params.yaml and catalog.yaml, found before anything runs."""

from pathlib import Path

import pytest
import yaml

from pipeline.check import study
from tests.helpers import ROOT, run


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the committed settings and catalogue, and the files that they name."""
    monkeypatch.chdir(tmp_path)
    for name in ("params.yaml", "catalog.yaml"):
        Path(name).write_text((ROOT / name).read_text())
    Path("data").symlink_to(ROOT / "data")
    return tmp_path


def change(file, dotted, value):
    """Set one value, named as in `-S`."""
    values = yaml.safe_load(Path(file).read_text())
    *sections, key = dotted.split(".")
    inner = values
    for section in sections:
        inner = inner[section]
    inner[key] = value
    Path(file).write_text(yaml.safe_dump(values))


def test_the_committed_settings_have_no_problems(project):
    assert study.problems() == []


@pytest.mark.parametrize(
    ("dotted", "value", "complaint"),
    [
        ("dataset", "samle", "no dataset 'samle' in catalog.yaml: did you mean sample?"),
        ("models", ["demmo"], "no model 'demmo' in catalog.yaml: did you mean demo"),
        ("models", ["demo", "demo"], "models lists demo twice"),
        ("models", "demo", "models is 'demo', expected list[str]"),
        ("baselines", ["overlapp"], "no baseline 'overlapp' in catalog.yaml: did you mean overlap?"),
        ("baselines", ["demo"], "demo is in models and in baselines"),
        ("pooling", "atention", "pooling is 'atention': did you mean attention?"),
        ("pooling", "last_0", "pooling is 'last_0': K is 0"),
        ("pooling", "attention_5", "pooling is attention_5, but fit.runs is 5: its runs are numbered from 0 to 4"),
        ("poolin", "mean", "unknown poolin (did you mean pooling?"),
        ("dmp", {}, "unknown dmp (did you mean"),
        ("dump.store", "float8", "dump.store is 'float8'"),
        ("dump.keep", "pool", "dump.keep is 'pool': did you mean pooled?"),
        ("dump.dtype", "bfloat", "dump.dtype is 'bfloat': did you mean bfloat16?"),
        ("dump.batch_tokens", 0, "dump.batch_tokens is 0, expected at least 1"),
        ("dump.layers", "al", "dump.layers is 'al'"),
        ("tokenize.max_tokens", "many", "max_tokens is 'many', expected int"),
        ("tokenize.template", "promteol", "tokenize.template is 'promteol': did you mean prompteol?"),
        ("tokenize.template", "[[{text}", "it has [[ alone"),
        ("tokenize.template", "Say: {text}", None),
        ("prepare.limit", 1, "prepare.limit is 1"),
        ("fit.poolings", ["atention"], "did you mean attention?"),
        ("fit.poolings", ["diagonal"], None),
        ("fit.epochs", 0, "fit.epochs is 0, expected at least 1"),
        ("fit.learning_rate", float("inf"), "fit.learning_rate is inf"),
        ("score.similarities", ["cosin"], "did you mean cosine?"),
        ("score.similarities", [], "score.similarities is empty"),
        ("score.corrections", ["whitenning_2"], "correction is 'whitenning_2': did you mean whitening_K?"),
        ("score.corrections", ["whitening_0"], "correction is 'whitening_0'"),
        ("sweep.poolings", ["men"], "did you mean mean?"),
        ("sweep.poolings", ["attention_1"], "attention_1"),
        ("correlate.reference", "dice", "correlate.reference is 'dice': did you mean overlap dice"),
        ("correlate.confidence", 95, "correlate.confidence is 95"),
        ("correlate.resamples", 10**9, "correlate.resamples is 1000000000, expected at most 1000000"),
        ("report.false_positives", -1, "report.false_positives is -1"),
        ("efficiency.encoders", ["dmo"], "a name in efficiency.encoders is 'dmo': did you mean demo"),
        ("efficiency.repeats", 1, "efficiency.repeats is 1, expected at least 3"),
    ],
)
def test_a_wrong_setting_is_one_line_with_the_near_miss(project, dotted, value, complaint):
    change("params.yaml", dotted, value)
    found = study.problems()
    if complaint is None:
        assert found == []
        return
    assert len(found) == 1, found
    assert complaint in found[0]
    assert "\n" not in found[0]


def test_all_problems_are_found_at_once(project):
    change("params.yaml", "pooling", "men")
    change("params.yaml", "models", ["demmo"])
    change("params.yaml", "fit.epochs", 0)
    change("params.yaml", "correlate.reference", "dice")  # not looked for while a model is unknown
    assert len(study.problems()) == 3


def test_a_learned_pooling_that_is_not_fitted_is_named(project):
    change("params.yaml", "pooling", "attention")
    change("params.yaml", "fit.poolings", ["diagonal"])
    assert study.problems() == ["pooling is attention, which is learned, but fit.poolings lists diagonal: add it"]


def test_a_pooling_that_needs_tokens_is_refused_where_only_statistics_are_kept(project):
    change("params.yaml", "dump.keep", "pooled")
    assert study.problems() == []
    change("params.yaml", "pooling", "idf_mean")
    (line,) = study.problems()
    assert line.startswith("pooling is idf_mean, but dump.keep is pooled, which is enough for mean,")


def test_a_pooling_of_recurrent_states_needs_a_model_that_keeps_them(project):
    change("params.yaml", "pooling", "state_rank_4")
    (line,) = study.problems()
    assert line.startswith(
        "pooling is state_rank_4, which takes recurrent states, but no model keeps them: set dump.keep"
    )
    change("params.yaml", "models", ["demo", "demo-state"])
    assert study.problems() == []
    change("params.yaml", "pooling", "mean")  # of states it is `state`
    assert study.problems() == []
    change("params.yaml", "models", ["demo-state"])
    assert study.problems() == []


def test_what_an_entry_keeps_must_be_known_and_fit_its_readout(project):
    change("catalog.yaml", "models.demo-state.keep", "sate")
    change("params.yaml", "models", ["demo-state"])
    (line,) = study.problems()
    assert line.startswith("models.demo-state of catalog.yaml: keep is 'sate': did you mean state")
    change("catalog.yaml", "models.demo-state.keep", "state")
    change("catalog.yaml", "models.demo-state.readout", "state_echo")
    (line,) = study.problems()
    assert line.startswith(
        "model demo-state has readout state_echo, but its recurrent state (keep: state) is read in one"
    )


@pytest.mark.parametrize(
    ("dotted", "value", "complaint"),
    [
        ("datasets.sample", {"path": "nowhere.csv"}, "dataset sample: nowhere.csv does not exist (looked at "),
        ("datasets.sample", {"pth": "x.csv"}, "unknown pth (did you mean path?"),
        ("datasets.sample", {"path": "a.csv", "hub": "a/b"}, "dataset sample has hub and path: give exactly one"),
        ("datasets.sample", {}, "dataset sample has no source"),
        ("datasets.sample", {"path": "a.csv", "permute_labels": "yes"}, "permute_labels is 'yes', expected int | None"),
        (
            "datasets.sample",
            {"path": "a.csv", "permute_label": 0},
            "permute_label (did you mean permute_labels?",
        ),
        ("models.demo", {"path": "data/demo/model", "shuffle_words": True}, "shuffle_words is True, expected int"),
        ("datasets.sample", {"hub": "a/b", "columns": {"sentnce1": "x"}}, "did you mean sentence1"),
        (
            "datasets.sample",
            {"hub": "a/b", "subsets": {"few": "train[5]"}},
            "subset few is 'train[5]', expected split[:n]",
        ),
        ("models.demo", {"path": "nowhere"}, "model demo: nowhere does not exist"),
        ("models.demo", {"random": 0}, "model demo is random but has no config.model_type"),
        ("models.demo", {"random": 0, "path": "data/sample"}, "the config in data/sample, which has no config.json"),
        ("models.demo", {"random": 0, "path": "x", "hub": "a/b"}, "model demo has hub and path and random: give exac"),
        ("models.demo", {"hub": "a/b", "tokenizer": "wrld"}, "tokenizer is 'wrld': did you mean world?"),
        ("models.demo", {"hub": "a/b", "tokenizer": {"kind": "hf", "pth": "x"}}, "tokenizer has unknown pth"),
        ("models.demo", {"random": 0, "config": {"model_type": "rwkv6"}}, "tokenizer of model demo has no source"),
        ("baselines.overlap", {"kind": "overlapp"}, "kind is 'overlapp': did you mean overlap?"),
        ("baselines.overlap", {"kind": "vectors"}, "baseline overlap has no source"),
        ("baselines.overlap", {"kind": "random", "dim": 0}, "baseline.dim is 0, expected at least 1"),
        (
            "baselines.overlap",
            {"kind": "vectors", "url": "https://example.org/a.txt", "sha256": "abc"},
            "sha256 is 'abc', expected 64 hexadecimal digits",
        ),
        (
            "baselines.overlap",
            {"kind": "vectors", "path": "data/demo/vectors.txt.gz", "sha256": "0" * 64},
            "sha256 is given without `url`",
        ),
        ("models.demo", {"hub": "a/b", "sha256": "0" * 64}, "unknown sha256"),
        (
            "models.demo",
            {"path": "data/demo/model", "readout": "token_prepend_3"},
            "readout of model demo is 'token_prepend_3': did you mean token_prepending_K?",
        ),
    ],
)
def test_a_wrong_entry_that_is_used_is_one_line(project, dotted, value, complaint):
    change("catalog.yaml", dotted, value)
    found = study.problems()
    assert len(found) == 1, found
    assert complaint in found[0]


def test_a_wrong_entry_that_nothing_uses_stops_nothing(project):
    change("catalog.yaml", "models.gpt2", {"pth": "x"})
    assert study.problems() == []


def test_numbers_and_dates_are_revisions(project):
    for revision in (1, 1.5, "v1", __import__("datetime").date(2026, 11, 25)):
        change("catalog.yaml", "datasets.sample", {"path": "data/sample/hard.tsv", "revision": revision})
        assert study.problems() == []


def test_the_stage_prints_each_problem_and_writes_nothing(project):
    change("params.yaml", "pooling", "men")
    change("params.yaml", "dataset", "samle")
    done = run(project, "python", "-m", "stages.check", "--out", "code", check=False, PYTHONPATH=str(ROOT))
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "error"]
    assert not Path("code").exists()


@pytest.mark.parametrize("name", ["params.yaml", "catalog.yaml"])
@pytest.mark.parametrize("text", ["a: [", "- a list", "\ufeff\x00", ""])
def test_a_broken_file_is_named(project, name, text):
    Path(name).write_text(text)
    assert any(name in line for line in study.problems())


def test_a_file_in_another_encoding_is_named(project):
    Path("params.yaml").write_bytes("dataset: é".encode("utf-16"))
    assert any("params.yaml is not text in UTF-8" in line for line in study.problems())


def test_a_catalogue_with_a_name_twice_is_one_line_however_many_entries_are_read(project):
    with Path("catalog.yaml").open("a") as file:
        file.write("\n  overlap: {kind: random}\n")
    line = len(Path("catalog.yaml").read_text().splitlines())
    assert study.problems() == [f"catalog.yaml has 'overlap' a second time in line {line}: rename or remove one"]
