"""Every snippet of README and docs/howto is run.

What needs no DVC, Python and settings, is run by `make test`. `make slow` runs all of a page in order, with DVC, in a
clone in which the pipeline has run.
"""

import json
import re
import shlex
import shutil
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
import yaml

from pipeline.catalog import entries
from pipeline.check import study
from pipeline.formats import vectors
from pipeline.text import pairs
from pipeline.text.settings import Prepare
from tests.helpers import ROOT, run
from tests.study import quick_params, run_all

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs/howto").glob("*.md"))]
FENCE = re.compile(r"(?:<!-- not run: (?P<why>.+?) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)
ADDED = ("median", "block_output", "demo-added")
"""what pages add to the code, and the entry that names it"""
LANGUAGES = ("sh", "python", "yaml", "diff", "text")
"""text is what one sees, and is not run"""

FLIP = """python -c '
import os, sys
status = os.stat(sys.argv[1])
os.chmod(sys.argv[1], 0o644)
with open(sys.argv[1], "r+b") as file:
    file.seek(status.st_size // 2)
    byte = file.read(1)[0] ^ 255
    file.seek(-1, 1)
    file.write(bytes([byte]))
os.chmod(sys.argv[1], 0o444)
os.utime(sys.argv[1], ns=(status.st_atime_ns, status.st_mtime_ns))
' """
"""what a bad disk does: a byte changes, and no time"""
VECTORS, SHARD = "data/pooled/demo/vectors.parquet", "data/states/demo/shard-00000.arrow"
REMOVE = "find . -samefile {} -delete"
INSTEAD = {  # what a snippet says -> what is run
    "make repro": "dvc repro",  # everything is installed
    ". .venv/bin/activate": "true",
    REMOVE.format(VECTORS): f"""{FLIP}{VECTORS}
        ! dvc repro -f -s score
        dvc repro -f -s pool@demo  # what one would try first; the next line: it was of no use
        ! dvc repro -f -s score
        {REMOVE.format(VECTORS)}""",
    REMOVE.format(SHARD): f"""{FLIP}{SHARD}
        rm -rf .drillcore/verified
        ! dvc repro -f -s pool@demo
        {REMOVE.format(SHARD)}""",
    "rm dvc.lock": ": > dvc.lock; ! dvc repro; rm dvc.lock",
    "rm .dvc/tmp/rwlock": ": > .dvc/tmp/rwlock; ! dvc repro -f -s check; rm .dvc/tmp/rwlock",
}
SEEN = {  # page -> what it says that one sees
    "README.md": ["Stage 'pool@demo' is cached - skipping run", "Running stage 'dump@my-model'"],
    "several-datasets.md": [
        "data set my-pairs",
        r"Read results/datasets\.md",
        "params.yaml: dataset is sample again",
        "Stage 'dump@demo' is cached - skipping run",
    ],
    "controls.md": [
        "WARNING: demo-wrong-tokenizer: .* bits per byte",
        "Running stage 'dump@demo-untrained-2'",
        "data set sample-random-pairs",
    ],
    "templates.md": [
        r"demo-prompteol: \d\.\d+ bits per byte",
        "Running stage 'dump@demo-echo'",
    ],
    "own-model.md": [r"my-model: \d\.\d+ bits per byte", "Running stage 'sweep@my-model'"],
    "own-pairs.md": ['"graded": false', "Running stage 'dump@demo'"],
    "new-pooling.md": ["Running stage 'pool@demo'", "Running stage 'sweep@demo'", "Stage 'dump@demo' didn't change"],
    "readouts.md": [
        "Running stage 'dump@demo-values'",
        "Stage 'dump@demo' didn't change",
        "Running stage 'dump@demo-added'",
        "finished before",
    ],
    "without-dvc.md": [r"\[\[0\.79\d+ 0\.45\d+\]\]"],
    "going-back.md": [
        "Stage 'pool@demo' is cached - skipping run",
        r"params\.yaml +pooling +mean +last",
        r"dvc_plots/index\.html",
        "Removed .* objects",
        "removed [0-9a-f]{24}",
    ],
    "when-damaged.md": [
        f"error: {VECTORS} cannot be read",
        f"error: {SHARD} is not what was written",
        "'./dvc.lock' validation failed",
        "Unable to read RWLock-file '.dvc/tmp/rwlock'",
    ],
    "command.md": [
        r"dataset my-pairs: path my-pairs\.csv",
        "Running stage 'dump@my-model'",
        "kept as experiment first",
        "last: my-model",
        "it needs no network",
        "opens it",
        "nothing is wrong",
        r"demo-vectors +\d",
    ],
    "geometry.md": ["Running stage 'geometry'"],
    "fine-tuning.md": [r"my-tuned: \d+ train pairs", "my-tuned: epoch 1: loss", "Running stage 'dump@my-tuned'"],
    "states.md": ["demo-state: pooled by state, since mean needs token states", "Running stage 'dump@demo-state'"],
    "probes.md": ["Running stage 'probe@demo'", "Running stage 'probes'"],
    "claims.md": [],
    "cost.md": ["Running stage 'efficiency'"],
    "page.md": ["Stage 'page' didn't change"],
    "gpu.md": [
        "Running stage 'dump@demo'",
        r"model demo: weights are in memory of the host \(12\.6 MB\), on the disk \(16\.8 MB\)",
    ],
    "ray.md": ["Running stage 'check'"],
    "teams.md": [],
    "several-machines.md": [r"in (\d+) shards?, \1 of them finished before"],
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str
    why: str | None
    """why it is not run"""

    @property
    def lines(self):
        return self.text.replace("\\\n", "").splitlines()


def blocks(page):
    found = [Block(match["language"], match["text"], match["why"]) for match in FENCE.finditer(page.read_text())]
    assert 2 * len(found) == page.read_text().count("```")
    return found


def to_run(page):
    return [block for block in blocks(page) if not block.why]


def having(language):
    """The pages with a block of a language that is run."""
    return [page for page in PAGES if any(block.language == language for block in to_run(page))]


def give(folder):
    """The files that a user is said to have."""
    shutil.copytree(ROOT / "data/demo/model", folder / "my-model")
    (folder / "my-rwkv.pth").touch()
    (folder / "my-adapter").mkdir()
    rows = [(split, f"a cat {i} sat", f"a dog {i * i} ran", i % 2) for split in ("train", "test") for i in range(8)]
    lines = ["split,question,answer,grade", *(",".join(map(str, row)) for row in rows)]
    (folder / "my-pairs.csv").write_text("\n".join(lines) + "\n")
    table = pl.DataFrame(rows, schema=["split", "sentence1", "sentence2", "label"], orient="row")
    table.write_csv(folder / "from-pandas.tsv", separator="\t", quote_style="always")
    (folder / "from-excel.csv").write_bytes(table.write_csv(separator=";").encode("cp1252"))
    table.drop("split").write_csv(folder / "without-a-header.csv", include_header=False)
    pl.concat([table, table[:1].with_columns(label=pl.lit(-1, pl.Int64))]).write_ndjson(
        folder / "with-missing-labels.jsonl"
    )
    for wanted in ("train", "train-1", "train-2", "test"):
        of_split = [
            {"sentence1": a, "sentence2": b, "label": label}
            for split, a, b, label in rows
            if split == wanted.split("-")[0]
        ]
        (folder / f"{wanted}.jsonl").write_text("\n".join(map(json.dumps, of_split)) + "\n")


def small_params():
    """Settings with which the pipeline is quick, of the model that the pages name."""
    params = quick_params() | {"models": ["demo"], "baselines": ["overlap"], "prepare": {"limit": 8}}
    params["sweep"] |= {"poolings": ["mean", "attention"]}
    return params


def merge(folder, text):
    """Put the entries of a snippet into catalog.yaml or params.yaml -> what they are."""
    given = yaml.safe_load(text)
    file = folder / ("catalog.yaml" if given.keys() & {"datasets", "models", "baselines"} else "params.yaml")
    values = yaml.safe_load(file.read_text())
    for key, value in given.items():
        assert key in values
        values[key] = values[key] | value if isinstance(value, dict) else value
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    return given


# what needs no DVC


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder in which all stages have run, in this process."""
    folder = tmp_path_factory.mktemp("results")
    (folder / "data").mkdir()
    for name in ("demo", "sample"):
        (folder / "data" / name).symlink_to(ROOT / "data" / name)
    shutil.copy(ROOT / "catalog.yaml", folder)
    (folder / "params.yaml").write_text(yaml.safe_dump(small_params()))
    give(folder)
    run_all(folder)
    return folder


@pytest.fixture
def inside(results, monkeypatch):
    """That folder as the current one; its settings are put back."""
    texts = {name: (results / name).read_text() for name in ("params.yaml", "catalog.yaml")}
    monkeypatch.chdir(results)
    yield results
    for name, text in texts.items():
        (results / name).write_text(text)


def problems_of(folder, choices):
    """What the check finds wrong once params.yaml has some more choices, {"score.similarities": [...]} as -S has it."""
    before = (folder / "params.yaml").read_text()
    params = yaml.safe_load(before)
    for key, value in choices.items():
        section, _, name = key.rpartition(".")
        (params[section] if section else params)[name] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    found = study.problems()
    (folder / "params.yaml").write_text(before)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_entries_and_choices_of_a_page_pass_the_check(inside, page):
    for block in to_run(page):
        assert block.language in LANGUAGES
        if block.language == "yaml" and not any(name in block.text for name in ADDED):
            given = merge(inside, block.text)
            for dataset in given.get("datasets", ["sample"]):
                named = {"dataset": dataset, "models": list(given.get("models", ["demo"]))}
                assert problems_of(inside, named) == []
                named_entry = entries.entry("datasets", dataset)
                if named_entry.hub is None:
                    assert set(pairs.prepare(named_entry, dataset, Prepare(limit=None)).pairs["label"]) == {0, 1}
        for line in block.lines if block.language == "sh" else ():
            if line.startswith("dvc exp run") and not any(name in line for name in ADDED):
                words = [word.partition("=") for word in shlex.split(line) if "=" in word]
                assert problems_of(inside, {key: yaml.safe_load(value) for key, _, value in words}) == []


@pytest.mark.parametrize("page", having("python"), ids=lambda page: page.name)
def test_python_of_a_page_runs_block_by_block(inside, page, capsys):
    for block in to_run(page):
        if block.language == "python":
            exec(compile(block.text, page.name, "exec"), {"__name__": "__main__"})
    output = capsys.readouterr().out
    assert all(re.search(expected, output) for expected in SEEN.get(page.name, []))


def test_every_line_that_loads_a_layer_gives_the_same_vectors(inside):
    exact = vectors.read(VECTORS, "pool@demo").layer(3)
    texts = [block.text.strip() for block in to_run(ROOT / "docs/howto/loading.md")]
    one_layer = [text for text in texts if len(text.splitlines()) == 3]  # an import, nothing, a line
    assert len(one_layer) == 5
    for text in one_layer:
        imports, _, line = text.splitlines()
        names = {}
        exec(imports, names)
        value = eval(line, names)
        if line.startswith("duckdb"):
            value = value.fetchnumpy()[value.columns[1]]
        elif line.startswith("pyarrow"):
            value = value.to_numpy()
        elif line.startswith("pandas"):
            assert value.index.tolist() == list(range(len(exact)))
        assert np.array_equal(np.stack(list(value)), exact), line


@pytest.mark.parametrize("page", having("diff"), ids=lambda page: page.name)
def test_a_diff_fits_the_code(page, tmp_path):
    for block in to_run(page):
        if block.language == "diff":
            (tmp_path / "diff").write_text(block.text)
            run(ROOT, "git", "apply", "--check", str(tmp_path / "diff"))


def test_what_is_not_run_is_said_to_be():
    left_out = [(page.name, block.why) for page in PAGES for block in blocks(page) if block.why]
    gpu = [("gpu.md", "it needs a GPU"), ("gpu.md", "it downloads packages for GPUs")]
    gpu += [("gpu.md", "it is installed"), ("gpu.md", "it needs a GPU")]
    elsewhere = "tests/test_teams.py runs it"
    claims = [("claims.md", "it measures for minutes"), ("claims.md", "it needs a network and a GPU")]
    cost = ("cost.md", "it takes minutes, and a quiet machine")
    geometry = ("geometry.md", "it writes half a gigabyte")
    loading = ("loading.md", "tests/pool/test_loading.py runs it")
    peft = ("fine-tuning.md", "it is installed")
    reachable = ("teams.md", "it needs a place that all can reach")
    page = ("page.md", "it needs a browser")
    ray = [
        ("ray.md", why)
        for why in ("it installs a package", "it needs several machines", "it takes minutes, and a quiet machine")
    ]
    whys = (
        "it needs two GPUs",
        "it needs torchrun on several GPUs, or SLURM",
        "it needs a bucket",
        "it takes ten minutes",
    )
    machines = [("several-machines.md", why) for why in whys]
    states = ("states.md", "tests/docs/test_states.py runs it")
    assert left_out == [
        *claims,
        cost,
        peft,
        geometry,
        *gpu,
        loading,
        page,
        *ray,
        *machines,
        states,
        reachable,
        *[("teams.md", elsewhere)] * 3,
    ]


# pages from beginning to end, with DVC


def git(folder, *words):
    run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@t", *words)


def shell(folder, block):
    """Run the lines of a snippet one by one -> the output of all of them."""
    output = ""
    for line in block.lines:
        line = re.sub("^drillcore ", "python -m pipeline.command ", line)  # that of this folder, not the installed one
        done = run(folder, "bash", "-ec", INSTEAD.get(line, line), check=False)
        output += done.stdout + done.stderr
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in output, output
    return output


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What the first snippet of README gives: a clone of the project in which the pipeline has run."""
    source, parent = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("parent")
    for file in run(ROOT, "git", "ls-files", "-co", "--exclude-standard").stdout.splitlines():
        if (ROOT / file).exists() and file != "dvc.lock":
            (source / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, source / file)
    (source / "params.yaml").write_text(yaml.safe_dump(small_params(), sort_keys=False))
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "study")):
        git(source, *words)
    get, enter, repro = blocks(README)[0].lines
    assert (get, enter) == ("git clone URL-OF-THIS-REPOSITORY drillcore", "cd drillcore")
    run(parent, *shlex.split(get.replace("URL-OF-THIS-REPOSITORY", str(source))))
    for key, value in (("user.name", "t"), ("user.email", "t@t")):
        git(parent / "drillcore", "config", key, value)
    shell(parent / "drillcore", Block("sh", repro, None))
    return parent / "drillcore"


@pytest.mark.slow
@pytest.mark.parametrize("page", having("sh"), ids=lambda page: page.name)
def test_the_snippets_of_a_page_run_in_order(clone, page, tmp_path):
    folder = tmp_path / "drillcore"
    run(tmp_path, "cp", "-a", str(clone), str(folder))  # hard links stay
    give(folder)
    todo = to_run(page)
    if page == README:
        todo = todo[1:]
    else:
        git(folder, "add", "dvc.lock")
        git(folder, "commit", "-qm", "first results")
    output = ""
    for block in todo:
        if block.language == "sh":
            output += shell(folder, block)
        elif block.language == "yaml":
            merge(folder, block.text)
            run(folder, "python", "-m", "stages.check")
        elif block.language == "diff":
            (tmp_path / "diff").write_text(block.text)
            git(folder, "apply", str(tmp_path / "diff"))
    for expected in SEEN[page.name]:
        assert re.search(expected, output), output
    if page.name == "when-damaged.md":
        git(folder, "diff", "--exit-code", "dvc.lock")  # the same bytes again
