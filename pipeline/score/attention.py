"""Where the first run of learned attention looked, for people to read."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.base.files import replacing
from pipeline.formats import attention
from pipeline.formats.arrays import to_arrow
from pipeline.formats.dumps import States
from pipeline.formats.fits import Fits
from pipeline.pool.batches import chunks
from pipeline.pool.learned import attention_weights


def write(dump: States, path: str | Path, model: str, fits: Fits) -> None:
    """The states of a dump -> the file of `formats.attention`; without a fit, or without tokens, it has no rows."""
    queries = fits.get("attention", {}).get(0, {}) if dump.of_tokens else {}
    with replacing(path) as part, attention.writer(part, list(queries), model) as writer:
        for batch in dump.batches if queries else []:
            columns = [batch["sentence_id"], batch["position"]]
            columns += [to_arrow(weights_of(batch, dump.layers[layer], query)) for layer, query in queries.items()]
            writer.write_batch(pa.record_batch(columns, schema=writer.schema))


def nothing(path: str | Path, model: str) -> None:
    """The file of a model that attention did not look at."""
    with replacing(path) as part:
        attention.writer(part, [], model).close()


def weights_of(batch: pa.RecordBatch, name: str, query: np.ndarray) -> np.ndarray:
    """One layer of a record batch of tokens -> the weight of each token in its sentence (tokens,) float32."""
    return np.concatenate([attention_weights(h, query).reshape(-1) for h, _ in chunks(batch, name)])
