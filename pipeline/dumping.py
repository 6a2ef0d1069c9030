"""Run a model once over all sentences and keep hidden layers: the plan, the key (contract C6) and the streaming writer."""

import hashlib
import importlib.metadata
import json
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from tqdm import tqdm

from pipeline import layers, scratch, shards, statistics
from pipeline.catalog import digest
from pipeline.files import replacing
from pipeline.layers import hidden_layers
from pipeline.params import at_least

CODE = ("checkpoints", "dumping", "layers", "models", "rwkv6", "shards", "statistics")  # modules that decide the bytes of a dump
RECORD_ROWS = 4000  # a record batch is closed at about so many rows


@dataclass(frozen=True)
class Dump:
    """Section `dump` of params.yaml."""

    dtype: str
    """type of the weights: float32 or bfloat16"""
    store: str
    """type of the stored states: float16, or float32 for models whose states pass 65,504"""
    layers: str | int | list[int]
    """all, a list of layers (negative ones count from the last), or n for every n-th layer from 0 on"""
    keep: str
    """tokens: the state of every token (contract C3); pooled: the statistics that the fixed poolings need (pipeline/statistics.py)"""
    batch_tokens: int
    """tokens of a forward pass; sentences of one exact length share one"""
    shard_mb: int
    """size of a shard, in 10^6 bytes"""
    gate_tokens: int
    """tokens of text on which bits per byte are measured; 0 skips it"""

    def __post_init__(self):
        at_least("dump", self, batch_tokens=1, shard_mb=1, gate_tokens=0)
        if self.store not in shards.STORES:
            raise ValueError(f"dump.store is {self.store!r}, expected one of {', '.join(shards.STORES)}")
        if self.keep not in KEEPS:
            raise ValueError(f"dump.keep is {self.keep!r}, expected one of {', '.join(KEEPS)}")


class Tokens:
    """dump.keep: tokens. A row is a token."""

    schema = staticmethod(shards.schema)

    @staticmethod
    def rows(lengths):
        return lengths

    @staticmethod
    def of(states, kind):
        return [states.reshape(-1, states.shape[-1])]

    @staticmethod
    def index(sentence_ids, lengths):
        return np.repeat(sentence_ids, lengths), np.concatenate([np.arange(n, dtype=np.int32) for n in lengths])


class Pooled:
    """dump.keep: pooled. A row is a sentence."""

    schema = staticmethod(statistics.schema)
    of = staticmethod(statistics.of)

    @staticmethod
    def rows(lengths):
        return np.ones_like(lengths)

    @staticmethod
    def index(sentence_ids, lengths):
        return sentence_ids, lengths.astype(np.int32)


KEEPS = {"tokens": Tokens, "pooled": Pooled}


def plan(lengths, rows, batch_tokens, shard_rows):
    """Which sentences share a forward pass, a record batch and a shard: a list of shards of record batches of forward passes,
    each pass an array of indices of sentences of one exact length, shortest first. It depends on the arguments alone.

    lengths: tokens of each sentence; rows: rows that each takes of a shard.
    """
    order = np.lexsort((np.arange(len(lengths)), lengths))
    edges = np.flatnonzero(np.diff(lengths[order])) + 1
    record_rows, passes = min(RECORD_ROWS, shard_rows), []
    for same in np.split(order, edges):
        size = max(1, min(batch_tokens // int(lengths[same[0]]), record_rows // int(rows[same[0]])))
        passes += [same[i : i + size] for i in range(0, len(same), size)]
    records = _fill(passes, record_rows, lambda one: int(rows[one].sum()))
    return _fill(records, shard_rows, lambda record: sum(int(rows[one].sum()) for one in record))


def _fill(items, budget, size):
    """Group items in order, closing a group before it would pass the budget."""
    groups, used = [], 0
    for item in items:
        if not groups or used + size(item) > budget:
            groups.append([])
            used = 0
        groups[-1].append(item)
        used += size(item)
    return groups


def key_of(fingerprint, tokens_info, ids, sentence_ids, depth, params: Dump, kernel=None):
    """Contract C6: (key, its parts). The key is the sha256 of everything that determines the bytes of a dump: weights, token
    ids, settings, our code, versions of libraries, and the fused kernel where one is used. Device and threads are not in it."""
    text = hashlib.sha256(np.asarray(sentence_ids, dtype=np.int64).tobytes())
    for one in ids:
        text.update(np.int32(len(one)).tobytes() + one.astype(np.int32).tobytes())
    settings = asdict(params) | {"layers": layers.numbers(params.layers, depth)}
    del settings["gate_tokens"]
    versions = {package: importlib.metadata.version(package) for package in ("torch", "transformers")}
    code = digest([Path(__file__).with_name(f"{name}.py") for name in CODE])
    parts = {"weights": fingerprint, "tokens": tokens_info, "ids": text.hexdigest(), "code": code, "versions": versions, "kernel": kernel} | settings
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24], parts


def check_vocabulary(ids, vocabulary, name):
    """Raise ValueError for an id that the model has no embedding for."""
    low, top = min(int(one.min()) for one in ids), max(int(one.max()) for one in ids)
    if low < 0 or top >= vocabulary:
        raise ValueError(
            f"token id {low if low < 0 else top} is outside the vocabulary of {vocabulary} of model {name}: "
            "its `tokenizer` in catalog.yaml belongs to another model"
        )


def check_lengths(ids, model, name):
    """Raise ValueError for a sentence that is longer than the model's table of learned positions."""
    longest, limit = max(map(len, ids)), getattr(model.config.get_text_config(), "max_position_embeddings", None)
    learned = any(part.endswith(("wpe", "position_embeddings", "embed_positions")) for part, _ in model.named_modules())
    if learned and limit and longest > limit:
        raise ValueError(f"a sentence has {longest} tokens, but model {name} has {limit} positions: set tokenize.max_tokens to {limit} and truncate to true")


class Host:
    """Memory of the host that layers are copied to behind the computation: page-locked and on a stream of its own where the
    device is a GPU, so that computing, copying and writing overlap; two sets that take turns, one filled while one is written."""

    def __init__(self, schema, rows, device):
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.device, self.turn = device, 0
        self.sets = [[self._empty(field, rows) for field in list(schema)[2:]] for _ in range(2)]

    def _empty(self, field, rows):
        shape = (rows, field.type.list_size) if field.type.num_fields else (rows,)
        kind = torch.float16 if shape[1:] and field.type.value_type == pa.float16() else torch.float32
        return torch.empty(shape, dtype=kind, pin_memory=self.stream is not None)

    def next_set(self):
        self.turn = 1 - self.turn
        return self.sets[self.turn]

    def copy(self, target, source):
        if self.stream is None:
            target.copy_(source)
            return
        source = source.to(target.dtype)
        self.stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self.stream):
            target.copy_(source, non_blocking=True)
            source.record_stream(self.stream)

    def arrived(self):
        """A function that returns once all copies so far are there."""
        return self.stream.record_event().synchronize if self.stream else lambda: None


class Writer:
    """A thread that writes shards while the next record batch is computed. One job at a time: the next waits for it, so that
    host memory is never filled while it is written, and an error in the thread is raised where the next job is handed over."""

    def __enter__(self):
        self.thread, self.job, self.shard = ThreadPoolExecutor(1), None, None
        return self

    def __exit__(self, *error):
        try:
            if error == (None, None, None):
                self.wait()
        finally:
            self.thread.shutdown(cancel_futures=True)
            if self.shard:
                self.shard.abandon()  # of no effect once it is finished

    def wait(self):
        if self.job:
            self.job.result()

    def _hand_over(self, *job):
        self.wait()
        self.job = self.thread.submit(*job)

    def open(self, path, schema):
        self.shard, self.schema = scratch.Shard(path, schema), schema

    def put(self, ready, index, columns):
        def job(shard, schema):
            ready()
            shard.writer.write_batch(shards.record_batch([*index(), *columns], schema))

        self._hand_over(job, self.shard, self.schema)

    def finish(self, take):
        """Have the shard flushed and named; take(its record) is called then."""
        self._hand_over(lambda shard: take(shard.finish()), self.shard)
        self.shard = None  # what fails from here on is cleared away by `Shard.finish`


class Budget:
    """Tokens of a forward pass that the device has memory for. It starts as what the plan asks and is halved when memory runs out."""

    def __init__(self, tokens):
        self.tokens = tokens

    def run(self, model, ids, wanted, take):
        """Call take(first row, layers) for ids (B, T), in one pass or in as many as memory needs."""
        start, (count, length) = 0, ids.shape
        while start < count:
            size = max(1, min(count - start, self.tokens // length))
            try:
                take(start, hidden_layers(model, ids[start : start + size], wanted))
            except torch.OutOfMemoryError as error:
                if size == 1:
                    raise ValueError(
                        f"one sentence of {length} tokens does not fit the memory of {ids.device}: lower tokenize.max_tokens with truncate: true"
                    ) from error
                self.tokens = size * length // 2
                print(f"out of memory on {ids.device}: going on with at most {self.tokens} tokens at once", file=sys.stderr)
            else:
                start += size
                continue
            torch.cuda.empty_cache()  # outside the handler, which keeps the failed pass alive


def fill(model, ids, record, wanted, keep, params, host, budget, progress):
    """Run the forward passes of one record batch -> (its columns in host memory, a function that waits for them and checks them)."""
    columns, row, peaks, kind = host.next_set(), 0, [], getattr(torch, params.store)
    for one in record:
        length = len(ids[one[0]])
        batch = torch.as_tensor(np.stack([ids[i] for i in one]), dtype=torch.long).to(model.device)
        rows = int(keep.rows(np.array([length]))[0])

        def take(start, states, row=row, rows=rows):
            at = row + start * rows
            peaks.append(torch.stack([torch.linalg.vector_norm(layer, torch.inf) for layer in states]).float())
            each = iter(columns)
            for layer in states:
                for part in keep.of(layer, kind):
                    host.copy(next(each)[at : at + len(part)], part)

        budget.run(model, batch, wanted, take)
        row += len(one) * rows
        progress.update(batch.numel())
    largest = torch.empty(len(wanted), pin_memory=host.stream is not None)
    host.copy(largest, torch.stack(peaks).amax(0))
    arrived = host.arrived()

    def ready():
        arrived()
        check_range(largest, wanted, params.store)

    return [column[:row].numpy() for column in columns], ready


def check_range(peaks, numbers, store):
    """Raise OverflowError for the first layer whose largest absolute value is not finite or does not fit the stored type."""
    limit = torch.finfo(getattr(torch, store)).max
    for layer, peak in zip(numbers, peaks.tolist()):
        if not np.isfinite(peak):
            raise OverflowError(f"layer {layer} holds NaN or infinity before it is stored: the weights or dump.dtype are at fault")
        if peak > limit:
            raise OverflowError(f"layer {layer} reaches {peak:.6g}, above the {limit:g} of {store}: set dump.store to float32")


@contextmanager
def finishing_first():
    """Take SIGINT and SIGTERM as a wish to stop: yields a function that says which came, or None. A second one ends at once."""
    asked = []

    def note(number, frame):
        if asked:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        asked.append(signal.Signals(number).name)
        os.write(2, f"\n{asked[0]}: stopping after the shard at hand (once more: at once)\n".encode())  # print may be what it interrupts

    earlier = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            earlier[number] = signal.signal(number, note)
    except ValueError:  # not the main thread: whoever runs us handles signals
        pass
    try:
        yield lambda: asked[0] if asked else None
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def dump(model, ids, sentence_ids, key, out, params: Dump, store=scratch.STORE, manifest=None):
    """Write the states of all sentences as shards of C3 (or statistics) into the folder `out`; returns what the manifest says of them.

    Shards are built in a scratch folder named by the key, outside `out`, and then hard-linked into it: a run that was stopped
    or killed goes on after the shards it had finished, another key never sees them, and `out` changes only once all are there;
    the file `manifest`, of an earlier dump, is removed just before. Computing runs ahead of writing by one record batch.

    Raises InterruptedError after SIGINT or SIGTERM, ValueError for a full or too small disk and for a dump of the same key at
    the same time, OverflowError for states that are not finite or do not fit `params.store`.
    """
    if not len(ids):
        raise ValueError("there are no sentences to dump: the tokenize stage gave none")
    scratch.writable(out)
    config = model.config.get_text_config()
    wanted, keep = layers.numbers(params.layers, config.num_hidden_layers), KEEPS[params.keep]
    schema = keep.schema(wanted, config.hidden_size, params.store)
    lengths = np.array([len(one) for one in ids])
    rows, row_bytes = keep.rows(lengths), bytes_of_row(schema)
    shard_rows = max(1, params.shard_mb * 10**6 // row_bytes)
    the_plan = plan(lengths, rows, params.batch_tokens, shard_rows)
    total, entries = int(rows.sum()) * row_bytes, [None] * len(the_plan)
    with scratch.locked(Path(store) / key) as folder, scratch.full_disk_explained(folder), finishing_first() as stop:
        paths = [folder / f"shard-{number:05d}.arrow" for number in range(len(the_plan))]
        records = [scratch.finished(path) for path in paths]
        have = sum(record["bytes"] for record in records if record)
        print(
            f"{rows.sum():,} {'tokens' if params.keep == 'tokens' else 'sentences'} x {len(wanted)} layers x {config.hidden_size}: {total / 1e6:,.1f} MB in "
            f"{len(the_plan)} shards" + (f", {sum(map(bool, records))} of them finished before" if have else ""),
            file=sys.stderr,
        )
        scratch.check_space(folder, max(0, total - have), out, total)
        most = max(sum(int(rows[one].sum()) for one in record) for shard in the_plan for record in shard)
        host = Host(schema, most, model.device) if not all(records) else None
        budget = Budget(max(params.batch_tokens, int(lengths.max())))
        with tqdm(total=int(lengths.sum()), unit="tok", unit_scale=True, desc="dump", mininterval=1) as progress, Writer() as writer:
            for number, (shard, path) in enumerate(zip(the_plan, paths)):
                held = np.concatenate([one for record in shard for one in record])
                if records[number]:
                    progress.update(int(lengths[held].sum()))
                else:
                    writer.open(path, schema)
                    for record in shard:
                        columns, ready = fill(model, ids, record, wanted, keep, params, host, budget, progress)
                        some = np.concatenate(record)
                        writer.put(ready, lambda some=some: keep.index(sentence_ids[some], lengths[some]), columns)
                    writer.finish(lambda record, number=number: records.__setitem__(number, record))
                entries[number] = {"name": path.name, "sentences": len(held), "tokens": int(lengths[held].sum())}
                if stop():
                    writer.wait()
                    raise InterruptedError(f"stopped by {stop()} after shard {number + 1} of {len(the_plan)}, which {folder} keeps: run again to go on")
        if manifest:
            Path(manifest).unlink(missing_ok=True)
        scratch.publish(folder, [path.name for path in paths], out)
    return {
        "layers": wanted,
        "dim": config.hidden_size,
        "keep": params.keep,
        "store": params.store,
        "sentences": len(ids),
        "tokens": int(lengths.sum()),
        "shards": [entry | record for entry, record in zip(entries, records)],
    }


def bytes_of_row(schema):
    """Bytes of one row of a shard."""
    return sum(field.type.value_type.bit_width // 8 * field.type.list_size if field.type.num_fields else field.type.bit_width // 8 for field in schema)


def write_manifest(path, manifest):
    """Written last: a manifest that exists means that the dump is complete."""
    with replacing(path) as part:
        part.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
