"""What is computed of the states of each sentence, in one read of a dump.

The measures of `tokens` are means, or ratios of means, of these columns over sentences.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from pipeline.formats import statistics
from pipeline.formats.arrays import to_numpy
from pipeline.formats.dumps import States
from pipeline.formats.states import layer, sentence_starts, sentences_of
from pipeline.geometry.sentences import softmax_entropies

CHUNK = 1 << 19
"""numbers that are converted to float32 at once: what fits a cache is several times faster"""

Columns = dict[str, np.ndarray]


def columns(dump: States, of_layer: int, sentences: np.ndarray, traced: np.ndarray) -> Columns:
    """The columns of one layer of a dump, for some sentence ids (N,), in their order.

    Those of TRACED cost several times as much as reading the states, and are computed where `traced` (N,) says so and
    NaN elsewhere. Of statistics there are only those that follow from sums, of recurrent states none.
    """
    if dump.keep == "state":
        return {}
    place = np.full(max(int(sentences_of(batch).max()) for batch in dump.batches) + 1, -1)
    place[sentences] = np.arange(len(sentences))
    found: Columns = {}
    for batch in dump.batches:
        at = place[sentences_of(batch)]
        wanted = np.flatnonzero(at >= 0)
        if not len(wanted):
            continue
        if dump.of_tokens:
            parts = of_tokens(batch, dump.layers[of_layer], wanted, traced[at[wanted]])
        else:
            parts = iter([(wanted, of_statistics(batch, dump.layers[of_layer], wanted))])
        for which, part in parts:
            for name, values in part.items():
                if name not in found:
                    found[name] = np.empty((len(sentences), *values.shape[1:]), values.dtype)
                found[name][at[which]] = values
    return found


def of_tokens(
    batch: pa.RecordBatch, name: str, wanted: np.ndarray, traced: np.ndarray
) -> Iterator[tuple[np.ndarray, Columns]]:
    """One layer (`layer_00`) of the sentences `wanted`, by number, of a batch of tokens -> some of them at a time, with
    their columns.
    """
    rows, starts = layer(batch, name), sentence_starts(batch)[1]
    lengths = np.diff(starts)[wanted]
    breaks = (np.diff(lengths) != 0) | (np.diff(wanted) != 1)  # neighbours of one length come together
    for run in np.split(np.arange(len(wanted)), np.flatnonzero(breaks) + 1):
        length = lengths[run[0]]
        most = max(1, CHUNK // int(length * rows.shape[1]))
        for start in range(0, len(run), most):
            some = run[start : start + most]
            h = rows[starts[wanted[some[0]]] : starts[wanted[some[-1]] + 1]].reshape(len(some), length, -1)
            yield wanted[some], of_sentences(h.astype(np.float32), traced[some])


def of_sentences(h: np.ndarray, traced: np.ndarray) -> Columns:
    """States of n sentences of one length, (n, T, D) float32 -> the columns, (n,) or (n, D). NaN is undefined."""
    length = h.shape[1]
    squares = np.vecdot(h, h)  # (n, T)
    inverse = np.divide(1, np.sqrt(squares), out=np.zeros_like(squares), where=squares > 0)
    weights = np.stack([np.ones_like(inverse), inverse], axis=1) / length  # (n, 2, T)
    mean, directions = (weights @ h).swapaxes(0, 1)  # means of h_t and of h_t / |h_t|, (n, D)
    found = _of_sums(mean, squares.sum(axis=1), np.full(len(h), length)) | {
        "token_directions": directions,
        "token_energies": np.einsum("ntd,ntd->nd", h, h) / length,
        "within_cosine": within_cosines(directions, (squares > 0).sum(axis=1), length),
        "carriers": carriers((h @ mean[:, :, None])[..., 0]),
    }
    for name, function in TRACED.items():
        found[name] = np.full(len(h), np.nan, np.float32)
        if traced.any():
            found[name][traced] = function(h[traced])
    return found


def of_statistics(batch: pa.RecordBatch, name: str, wanted: np.ndarray) -> Columns:
    """One layer (`layer_00`) of some sentences of a batch of statistics -> the columns that follow from sums."""
    first, rest, squares = (
        statistics.read(batch, name, what)[wanted] for what in ("first", "rest_sum", "squared_norm")
    )
    tokens = to_numpy(batch["tokens"])[wanted]
    return _of_sums((first + rest) / tokens[:, None], squares, tokens)


def _of_sums(mean: np.ndarray, squares: np.ndarray, tokens: np.ndarray) -> Columns:
    """Mean state (n, D), sum of |h_t|^2 (n,) and tokens (n,) -> the columns of both kinds of dump.

    The variance, sum |h_t - mean|^2 / (T - 1), is a difference of sums in float32: it is exact to 1e-6 of the squares.
    """
    own = np.vecdot(mean, mean, dtype=np.float64)
    within = np.maximum(squares.astype(np.float64) - tokens * own, 0)
    variance = np.divide(within, tokens - 1, out=np.full(len(tokens), np.nan), where=tokens > 1)
    return {"mean": mean, "tokens": tokens, "square": squares / tokens, "variance": variance}


def within_cosines(directions: np.ndarray, nonzero: np.ndarray, length: int) -> np.ndarray:
    """The mean of h_t / |h_t| (n, D), and how many of T tokens are not zero (n,) -> the mean cosine of two tokens of a
    sentence (n,), of which that with a token of zeros is 0.
    """
    if length < 2:
        return np.full(len(directions), np.nan)
    return (length**2 * np.vecdot(directions, directions) - nonzero) / (length * (length - 1))


def carriers(along: np.ndarray) -> np.ndarray:
    """h_t . mean (n, T) -> n / m of the mean vector (n,): T sum_t c_t^2, c_t = h_t . mean / (T |mean|^2), sum c = 1."""
    total = along.sum(axis=1, keepdims=True)
    shares = np.divide(along, total, out=np.full_like(along, np.nan), where=total > 0)
    return along.shape[1] * np.square(shares).sum(axis=1)


def curvature(h: np.ndarray) -> np.ndarray:
    """(n, T, D) -> the mean angle between h_{t+1} - h_t and h_{t+2} - h_{t+1}, (n,) degrees.

    A step of length 0 has no direction and is left out; NaN for fewer than three tokens.
    """
    if h.shape[1] < 3:
        return np.full(len(h), np.nan)
    steps = np.diff(h, axis=1)
    inner = np.vecdot(steps[:, 1:], steps[:, :-1])
    length = np.sqrt(np.vecdot(steps, steps))
    scale = length[:, 1:] * length[:, :-1]
    cosines = np.divide(inner, scale, out=np.zeros_like(inner), where=scale > 0)
    angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    count = (scale > 0).sum(axis=1)
    total = np.where(scale > 0, angles, 0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(h), np.nan, dtype=h.dtype), where=count > 0)


def matrix_entropies(h: np.ndarray) -> np.ndarray:
    """(n, T, D) -> -sum p ln p of the eigenvalues p of H H^T / its trace, (n,) nats."""
    values = np.clip(np.linalg.eigvalsh(h @ h.swapaxes(1, 2)), 0, None)
    total = values.sum(axis=1, keepdims=True)
    p = np.divide(values, total, out=np.zeros_like(values), where=total > 0)
    return -(p * np.log(np.where(p > 0, p, 1))).sum(axis=1)


TRACED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "curvature": curvature,
    "token_matrix_entropy": matrix_entropies,
    "token_softmax_entropy": lambda h: softmax_entropies(h).mean(axis=1),
}
"""column -> function of states (n, T, D) -> (n,)"""
