"""Ray on two machines, each a raylet on this one: the results of one process, and what becomes of those that die."""

import importlib.util
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

if importlib.util.find_spec("ray") is None:
    pytest.skip("the extra ray is not installed", allow_module_level=True)

from pipeline.base.errors import InputError
from pipeline.catalog.entries import Baseline, Model
from pipeline.engine import on_ray, workers
from pipeline.engine.dealing import Deal
from pipeline.engine.local import LOCAL
from pipeline.engine.on_ray import RAY
from pipeline.formats import dumps, tokens
from pipeline.pool import run as pool_run
from pipeline.pool.inputs import Inputs
from pipeline.pool.names import Pooling
from pipeline.text import encoding
from pipeline.text.settings import Tokenize
from tests.engine.starts import Bad, NoStart, Promised, Times, folder
from tests.geometry import test_run as geometry
from tests.helpers import contents
from tests.pool.dumps import draw_states, write_project, write_tokens


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A project's folder, and the variables of a user who has set none."""
    monkeypatch.chdir(tmp_path)
    for name in ("DRILLCORE_THREADS", "DRILLCORE_WORKERS", "DRILLCORE_DEVICE", "DRILLCORE_GPUS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "notes").mkdir()
    return tmp_path


def times(table, seconds=None, together=0):
    return Times(table, "notes", seconds or {}, together)


def test_results_are_those_of_one_process_in_the_order_of_the_items(cluster, rng):
    table = rng.standard_normal((3, 4))
    start = times(table, {item: float(rng.random()) / 20 for item in range(20)})
    results = list(RAY.each(start, range(20), "x"))
    assert [found.tobytes() for found in results] == [
        found.tobytes() for found in LOCAL.each(times(table), range(20), "x")
    ]


def test_every_worker_starts_once_and_there_is_one_for_each_core_of_both_machines(cluster, rng):
    list(RAY.each(times(rng.standard_normal(2), together=2), range(12), "x"))
    assert len(list(Path("notes").glob("start-*"))) == 2
    assert all(len(Path(f"notes/{item}").read_text().split()) == 1 for item in range(12))


def test_a_ray_of_this_machine_that_does_not_start_is_one_line(monkeypatch):
    """Ray gives a machine that is too busy a plain Exception."""

    def init(**_):
        raise Exception("The current node timed out during startup.\nThe rest is for Ray's makers.")

    monkeypatch.setattr(on_ray.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(on_ray.ray, "init", init)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    said = r"Ray does not start on this machine \(The current node timed out during startup\.\): run again"
    with pytest.raises(InputError, match=said):
        on_ray.connect()


@pytest.mark.parametrize(("variable", "value"), [("DRILLCORE_WORKERS", "1"), ("DRILLCORE_THREADS", "1")])
def test_the_number_of_workers_is_limited(cluster, rng, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    assert on_ray.shape(network=True)[0] == {"DRILLCORE_WORKERS": 1, "DRILLCORE_THREADS": 2}[variable]
    monkeypatch.setenv(variable, "two")
    with pytest.raises(InputError, match=f"{variable} is 'two', expected a number"):
        on_ray.shape(network=True)


def test_gpus_have_a_worker_each_where_a_network_runs(cluster, monkeypatch):
    nodes = [
        {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0}},
        {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 1.0}},
    ]
    monkeypatch.setattr(on_ray.ray, "nodes", lambda: [*nodes, {"Alive": False, "Resources": {"GPU": 8.0}}])
    job = on_ray.session()
    assert on_ray.shape(network=True) == (3, workers.Kind(1, 0, 1, job))
    assert on_ray.shape(network=False) == (16, workers.Kind(1, 1, 0, job))
    monkeypatch.setenv("DRILLCORE_GPUS", "2")
    assert on_ray.shape(network=True) == (1, workers.Kind(1, 0, 2, job))
    monkeypatch.setenv("DRILLCORE_THREADS", "4")
    monkeypatch.setenv("DRILLCORE_DEVICE", "cpu")
    assert on_ray.shape(network=True) == (4, workers.Kind(4, 4, 0, job))
    monkeypatch.setenv("DRILLCORE_DEVICE", "cuda:1")
    with pytest.raises(InputError, match="'cuda:1', but each worker has a GPU of its own"):
        on_ray.shape(network=True)


def test_a_worker_that_is_idle_makes_the_next_function(cluster, rng, here):
    makers = []
    for at in range(2):
        (here / f"{at}").mkdir()
        table = rng.standard_normal(2)
        found = list(RAY.each(Times(table, str(at), {}, together=2), range(4), "x"))
        assert np.array_equal(found, [table * item for item in range(4)])
        makers.append({path.name for path in Path(f"{at}").glob("start-*")})
    assert makers[0] == makers[1]


def test_items_are_taken_as_they_are_needed(cluster, rng):
    taken = []
    items = (taken.append(item) or item for item in range(1000))
    results = RAY.each(times(rng.standard_normal(2)), items, "x")
    for _ in range(3):
        next(results)
    assert 3 <= len(taken) <= 3 + 2 * workers.AHEAD
    results.close()


def test_once_runs_in_a_worker_that_is_where_the_driver_is(cluster):
    assert RAY.once(folder) == os.getcwd()
    assert RAY.once(os.getpid) != os.getpid()


def test_a_worker_begins_the_next_item_before_a_promised_result_is_there(cluster, monkeypatch):
    monkeypatch.setenv("DRILLCORE_WORKERS", "1")
    assert list(RAY.each(Promised("notes"), range(4), "x")) == [0, -1, -2, -3]
    lines = Path("notes/order").read_text().splitlines()
    assert lines.index("begin 1") < lines.index("end 0")
    with pytest.raises(InputError, match="later"):
        list(RAY.each(Promised("notes"), [1, 99, 2], "x"))


# errors


def test_bad_input_is_the_line_that_one_process_says(cluster):
    start = Bad({5: "input", 3: "input"}, {}, "notes")
    said = []
    for engine in (LOCAL, RAY):
        with pytest.raises(InputError) as raised:
            list(engine.each(start, range(9), "x"))
        said.append((type(raised.value), str(raised.value)))
    assert said[0] == said[1] == (InputError, "item 3 is 3, expected another")
    with pytest.raises(InputError, match="nothing works: try another"):
        list(RAY.each(NoStart(), range(9), "x"))


def test_a_mistake_of_ours_keeps_its_type_and_its_traceback(cluster):
    with pytest.raises(ValueError, match=r"(?s)in of.*item 3 is 3") as raised:
        list(RAY.each(Bad({3: "mistake"}, {}, "notes"), range(9), "x"))
    assert not isinstance(raised.value, InputError)


def test_an_item_whose_worker_dies_is_made_by_another(cluster, capfd):
    results = list(RAY.each(Bad({}, {4: 1, 6: 1}, "notes"), range(9), "x"))
    assert results == list(range(9))
    assert len(list(Path("notes").glob("death-*"))) == 2
    assert "x: a worker was lost, and others do its work" in capfd.readouterr().err


def test_an_item_that_ends_every_worker_ends_the_run(cluster):
    with pytest.raises(InputError, match="x: item 2 ended its worker 3 times"):
        list(RAY.each(Bad({}, {2: 99}, "notes"), range(4), "x"))
    deaths = len(list(Path("notes").glob("death-2-*")))
    # each of the three other items may be blamed once, and one worker die before another is counted
    assert workers.DEATHS <= deaths <= workers.DEATHS + 3 + 1


def test_an_item_that_was_lost_has_a_worker_for_itself(monkeypatch):
    """Else one that was done, but not yet said to be, is blamed for what comes after it."""
    monkeypatch.setattr(workers.ray, "put", lambda value: value)
    given = []

    class Actor:
        def __init__(self, name):
            self.run = self
            self.name = name

        def remote(self, where, start, item):
            given.append((self.name, item))
            return object()

    monkeypatch.setattr(workers, "hired", lambda kind, count: [Actor(name) for name in range(count)])
    pool, deal = workers.Workers(None, None, 2, workers.Kind(1, 1, 0, ""), "x"), Deal(iter(range(9)), 9)
    pool.node, pool.ask_at = {0: "a", 1: "b"}, {}
    pool.feed(deal)
    assert sorted(given) == [(0, 0), (0, 2), (1, 1), (1, 3)]
    for ref in [ref for ref, (actor, _) in pool.running.items() if actor == 0]:
        item = pool.running.pop(ref)[1]
        deal.give_back(item)
        pool.lost.add(item)
    given.clear()
    pool.feed(deal)
    assert given == [(0, 0)]
    pool.feed(deal)
    assert given == [(0, 0)], "the other has something in hand, so it does not get the second"
    pool.running = {ref: held for ref, held in pool.running.items() if held[0] == 0}
    pool.feed(deal)
    assert given == [(0, 0), (1, 2)]


def test_a_machine_that_does_not_see_the_folder_is_named(cluster, monkeypatch, tmp_path, rng):
    """The worker is told of a folder that is not there, as on a machine that does not share it."""
    honest = workers.worker.Place
    monkeypatch.setattr(workers.worker, "Place", lambda folder, *rest: honest(f"{folder}-elsewhere", *rest))
    with pytest.raises(InputError, match=f"machine {os.uname().nodename} of the Ray cluster does not see {tmp_path}"):
        list(RAY.each(times(rng.standard_normal(2)), range(4), "x"))


# stages


def test_token_ids_are_those_of_one_process(cluster, rng, monkeypatch):
    monkeypatch.setattr(encoding, "SENTENCES_AT_ONCE", 7)
    texts = ["".join(map(chr, rng.integers(97, 400, rng.integers(1, 60)))) for _ in range(50)]
    table = pl.DataFrame({"sentence_id": range(50), "text": texts})
    for kind in ("bytes", "world"):
        entry = Model(random=0, tokenizer=kind, bos=0, shuffle_words=3)
        for name, engine in (("a", LOCAL), ("b", RAY)):
            made = encoding.tokenize(table, entry, "m", Tokenize(40, True, "prompteol"), engine)
            tokens.write(f"{name}.parquet", made)
        assert Path("a.parquet").read_bytes() == Path("b.parquet").read_bytes()


def test_a_text_without_tokens_is_the_line_of_one_process(cluster):
    table = pl.DataFrame({"sentence_id": range(3), "text": ["a", "", "b"]})
    for engine in (LOCAL, RAY):
        with pytest.raises(InputError, match="sentence '' has no tokens"):
            encoding.tokenize(table, Model(random=0, tokenizer="bytes"), "m", Tokenize(40, True, "none"), engine)


@pytest.mark.parametrize("pooling", ["mean", "max", "first_last"])
def test_pooled_vectors_and_norms_are_those_of_one_process(cluster, tmp_path, rng, pooling):
    dump = write_tokens(tmp_path / "states", draw_states(rng))
    assert len(dump.batches) > 2
    for name, engine in (("a", LOCAL), ("b", RAY)):
        pool_run.pool(dumps.read(dump.folder), Pooling.parse(pooling), f"{name}.parquet", "m", Inputs(), engine=engine)
    assert Path("a.parquet").read_bytes() == Path("b.parquet").read_bytes()


def test_the_geometry_is_that_of_one_process(cluster, tmp_path, rng, monkeypatch):
    write_project(tmp_path, rng, geometry=geometry.SECTION)
    geometry.pool()
    written = []
    for engine in ("local", "ray"):
        monkeypatch.setenv("DRILLCORE_ENGINE", engine)
        geometry.measure()
        written.append(contents(tmp_path / "data/geometry.parquet"))
    assert written[0] == written[1]


def test_vectors_of_a_sentence_encoder_are_those_of_one_process(cluster, tmp_path, rng, monkeypatch):
    pytest.importorskip("sentence_transformers", reason="the extra encoders is not installed")
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    from pipeline.baselines import encoders

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghij"]
    Path("vocab.txt").write_text("\n".join(words))
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=15, max_position_embeddings=32, **sizes)).save_pretrained("bert")
    BertTokenizerFast("vocab.txt").save_pretrained("bert")
    texts = [" ".join(rng.choice(list("abcdefghij"), rng.integers(1, 40))) for _ in range(30)]
    sentences = pl.DataFrame({"sentence_id": range(30), "text": texts})
    monkeypatch.setattr(encoders, "SENTENCES_AT_ONCE", 12)
    monkeypatch.setenv("DRILLCORE_DEVICE", "cpu")
    entry = Baseline(kind="encoder", path="bert", pooling="mean")
    torch.set_num_threads(1)
    one, other = (encoders.sentence_encoder(entry, None, sentences, "e", engine) for engine in (LOCAL, RAY))
    assert one.vectors.tobytes() == other.vectors.tobytes()
    assert one.info == other.info
    assert one.info["truncated"] > 0


# a machine that is lost; the last test, since it takes one away


def test_what_a_lost_machine_worked_on_is_made_by_the_others(cluster, rng):
    table, count = rng.standard_normal(3), 24
    start = times(table, dict.fromkeys(range(count), 0.2), together=2)

    def kill_when_it_works():
        while len(list(Path("notes").glob("start-*"))) < 2:
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(cluster.second_raylet, signal.SIGKILL)

    killer = threading.Thread(target=kill_when_it_works)
    killer.start()
    results = list(RAY.each(start, range(count), "x"))
    killer.join()
    assert np.array_equal(results, [table * item for item in range(count)])
    makers = [Path(f"notes/{item}").read_text().split() for item in range(count)]
    assert {maker for of_item in makers for maker in of_item} == {
        path.name.split("-")[1] for path in Path("notes").glob("start-*")
    }
    assert sum(map(len, makers)) <= count + 2 * workers.AT_ONCE
