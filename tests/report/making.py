"""Tables of the formats with drawn figures, which the tests of this room make pages and pictures from."""

import numpy as np
import polars as pl

from pipeline.formats.names import encoder_name
from pipeline.formats.scores import KEYS, Scores
from pipeline.formats.tables import CORRELATIONS, CURVES, POOLINGS, STATISTICS, schema_of
from pipeline.report.material import Material, Method
from tests.helpers import pairs_table

METHOD = Method(confidence=0.9, resamples=12345, reference="overlap dice")
SUBSETS = {"test-20": ["test", 20]}
SIZES = {"train": 50, "validation": 30, "test": 40, "test-20": 20}
GATE = {"bits_per_byte": 1.5, "unigram_byte": 4.4, "unigram_token": 2.5, "tokens": 99, "passed": True}
FAILED = GATE | {"bits_per_byte": 5.123, "passed": False}
ENCODERS = [
    *(("m", "mean", "none", layer, "cosine") for layer in (0, 1, 2)),
    *(("n", "mean", "none", layer, "cosine") for layer in (0, 1, 2)),
    ("overlap", None, None, None, "dice"),
    ("overlap", None, None, None, "tfidf"),
    ("words", "mean", "none", None, "cosine"),
]
INFERRED = list(CORRELATIONS)[list(CORRELATIONS).index("slope") :]
VERSUS = [name for name in INFERRED if "difference" in name or "partial" in name] + ["detectable", "pairs_needed"]
CLASSES = ["accuracy", "f1", "balanced_accuracy", "mcc"]


def around(rng, value, wide=0.1):
    """A figure and an interval around it."""
    return value, value - rng.uniform(0, wide), value + rng.uniform(0, wide)


def places(row, name):
    """Decimals by the rule: two where the interval is wider than .1."""
    return 2 if row[f"{name}_high"] - row[f"{name}_low"] > 0.1 else 3


def bracketed(row, name, sign=""):
    """A figure with its interval as pages show it."""
    value, low, high = (f"{row[f'{name}{end}']:{sign}.{places(row, name)}f}" for end in ("", "_low", "_high"))
    return f"{value} [{low}, {high}]"


def correlations(rng, encoders=ENCODERS, sizes=SIZES, reference="overlap dice", chosen=1):
    """A table of CORRELATIONS in which layer `chosen` is selected; all its figures are drawn."""
    rows = []
    for split, n in sizes.items():
        for encoder, pooling, correction, layer, similarity in encoders:
            row = dict(zip(KEYS, (encoder, pooling, correction, layer, similarity)))
            row |= {"name": encoder_name(encoder, pooling, correction, similarity), "split": split, "n": n}
            row |= {
                "selected": layer in (None, chosen),
                "components": n,
                "effective_components": float(n),
                "positives": rng.uniform(0.3, 0.7),
            }
            for statistic in STATISTICS:
                names = (statistic, f"{statistic}_low", f"{statistic}_high")
                row |= dict(zip(names, around(rng, rng.uniform(-0.9, 0.9))))
            row |= {"ceiling": 0.87, "spearman_of_ceiling": row["spearman"] / 0.87, "ties": 0.0, "resamples": 100}
            if layer is not None:
                row |= {"spearman_band_low": row["spearman"] - 0.2, "spearman_band_high": row["spearman"] + 0.2}
            if row["selected"]:
                row |= inferred(rng, layer, compared=row["name"] != reference and reference is not None)
            rows.append(row)
    table = pl.DataFrame(rows, schema=schema_of(CORRELATIONS))
    one_share = pl.col("positives").first().over("split")
    return table.with_columns(one_share.alias("positives"))


def inferred(rng, layer, compared):
    """The columns of a selected row."""
    row = {name: rng.uniform(0.3, 0.9) for name in CLASSES}
    row |= dict(zip(("below_best", "below_best_low", "below_best_high"), around(rng, rng.uniform(-0.5, 0))))
    row |= {"below_best_p": rng.uniform(0.06, 1), "below_best_detectable": rng.uniform(0.01, 0.2)}
    if layer is not None:
        row |= dict(zip(("slope", "slope_low", "slope_high"), around(rng, rng.uniform(-0.1, 0.1))))
        row["slope_p"] = rng.uniform(0.06, 1)
    if compared:
        row |= dict(zip(("difference", "difference_low", "difference_high"), around(rng, rng.uniform(-0.5, 0.5))))
        row |= dict(zip(("partial", "partial_low", "partial_high"), around(rng, rng.uniform(-0.5, 0.5))))
        row |= {"difference_p": rng.uniform(0.06, 1), "detectable": rng.uniform(0.01, 0.2)}
        row["pairs_needed"] = rng.uniform(1000, 9000)
        row |= {"auc_difference": rng.uniform(-0.5, 0.5), "auc_difference_p": rng.uniform(0.06, 1)}
    return row


def manifest(model, gate=GATE, weights=None, sources=None):
    """What the stage dump says of a model."""
    parts = {"weights": weights or {"sha256": "0123456789abcdef"}, "dtype": "float32", "versions": {"torch": "2.0"}}
    parts |= {"tokens": {"tokenizer": {"kind": "bytes"}}}
    counts = {"sentences": 12, "truncated": 3, "tokens": 120, "layers": [0, 1, 2], "dim": 8, "readout": "plain"}
    counts["sources"] = sources or {"weights": None, "tokenizer": None}
    return {"model": model, "gate": gate, "parts": parts, "key": "0a1b", "keep": "tokens", "store": "float16"} | counts


def material(rng, table=None, graded=False, **changes):
    """Everything that report.md shows; the scores are drawn, the sentences numbered."""
    table = correlations(rng) if table is None else table
    sizes = {split: n for split, n in SIZES.items() if split not in SUBSETS}
    splits = [split for split, n in sizes.items() for _ in range(n)]
    labels = rng.integers(0, 6, len(splits)) if graded else np.arange(len(splits)) % 2
    pairs = pairs_table(labels, splits)
    sentences = pl.DataFrame(
        {"sentence_id": range(2 * len(pairs)), "text": [f"no. {i}" for i in range(2 * len(pairs))]}
    )
    keys = table.select(KEYS).unique().sort(KEYS, nulls_last=True)
    scores = Scores(keys, rng.random((len(keys), len(pairs))))
    models = table.filter(pl.col("layer").is_not_null())["encoder"].unique(maintain_order=True)
    given = {
        **{"table": table, "scores": scores, "pairs": pairs, "sentences": sentences},
        "info": {
            "dataset": "toy",
            "source": None,
            "control": None,
            "subsets": SUBSETS,
            "shared": {"train": 0, "test": 2},
        },
        "manifests": {model: manifest(model) for model in models},
        "baselines": {"glove": {"coverage": 0.987654, "dim": 50, "sentences_without_a_known_word": 2}},
    }
    return Material(**(given | changes))


def scores_tables(material):
    """The scores of the material as tables of C5, one for each combination."""
    types = schema_of(CORRELATIONS)
    for key, values in zip(material.scores.keys.iter_rows(named=True), material.scores.values):
        literals = [pl.lit(value, types[name]).alias(name) for name, value in key.items()]
        rows = material.pairs.select("pair_id", "split", "label").with_columns(*literals)
        yield rows.with_columns(pl.Series("score", values))


POOLING_NAMES = ["mean", "max", "attention", "diagonal", "scalar_mix", "pairs_of_layers"]
LAYER_OF = {"scalar_mix": "", "pairs_of_layers": "0+2"}
LEARNED = ("attention", "diagonal", "scalar_mix")


def poolings(rng, encoders=("m",), names=tuple(POOLING_NAMES), sizes=None):
    """A table of POOLINGS with drawn figures, none of them significant."""
    rows = []
    for encoder in encoders:
        for split, n in (sizes or {name: n for name, n in SIZES.items() if name != "train"}).items():
            compared = [("pooling", name, "none", "cosine", names[0]) for name in names[1:]]
            if {"attention", "diagonal"} <= set(names[1:]):
                compared.append(("pooling", "attention", "none", "cosine", "diagonal"))
            compared += [("correction", names[0], "all_but_the_top_1", "cosine", names[0])]
            compared += [("similarity", names[0], "none", "neg_euclidean", names[0])]
            if names[0] == "mean":
                compared += [("layer without labels", "mean", "none", "cosine", "mean")]
            compared += [("best of all", names[-1], "centre", "cosine", names[0])]
            for keys in [("pooling", names[0], "none", "cosine", None), *compared]:
                row = dict(zip(("family", "pooling", "correction", "similarity", "against"), keys))
                rows.append(row | {"encoder": encoder, "split": split, "n": n} | of_pooling(rng, row))
    return pl.DataFrame(rows, schema=schema_of(POOLINGS))


def of_pooling(rng, row):
    """Drawn figures of a row."""
    learned = row["pooling"] in LEARNED
    layer = "2" if row["family"] == "layer without labels" else LAYER_OF.get(row["pooling"], "1")
    figures = {"layer": layer, "runs": 2 if learned else 1, "train": rng.uniform(-1, 1)}
    figures |= dict(zip(("spearman", "low", "high"), around(rng, rng.uniform(-0.9, 0.9))))
    figures |= {"choice_low": figures["low"], "choice_high": figures["high"]}
    figures["spread"] = rng.uniform(0, 0.1) if learned else None
    if row["against"] is not None:
        difference = dict(zip(("difference", "difference_low", "difference_high"), around(rng, rng.uniform(-0.5, 0.5))))
        figures |= difference | {"p": rng.uniform(0.06, 1), "detectable": rng.uniform(0.01, 0.2)}
        figures |= {f"choice_{name}": value - 0.01 for name, value in difference.items() if name != "difference"}
    return figures


def curves(rng, table, layers=(0, 1, 2)):
    """A table of CURVES for the encoders, poolings and splits of a table of POOLINGS."""
    rows = []
    for encoder, pooling, split in table.select("encoder", "pooling", "split").unique(maintain_order=True).iter_rows():
        for layer in layers if pooling not in LAYER_OF else []:
            rho, least, most = around(rng, rng.uniform(-0.5, 0.5))
            rows.append([encoder, pooling, layer, split, rho, least, most])
    return pl.DataFrame(rows, schema=schema_of(CURVES), orient="row")


ATTENTION = {
    "layer": "1",
    "sentences": 3,
    "flat": False,
    "by_idf": -0.4286,
    "by_position": None,
    "most": [["The", 2.1], [" *", 0.6]],
    "least": [[" cat", 0.3]],
    "examples": [{"pieces": ["The", " cat", " *"], "weights": [2.1, 0.3, 0.6]}],
}
LEARNING = {
    "pairs": 50,
    "shuffled": False,
    "runs": 2,
    "poolings": [
        {"pooling": "attention", "layer": "1", "rho_at_start": 0.2, "rho_held_out": 0.75, "epoch": 20, "kept": True},
        {"pooling": "diagonal", "layer": "0", "rho_at_start": 0.1, "rho_held_out": None, "epoch": 1, "kept": False},
        {"pooling": "scalar_mix", "layer": "", "rho_at_start": 0.1, "rho_held_out": 0.125, "epoch": 7, "kept": True},
    ],
}


def summary(models=("m",), chosen_on="train", subsets=SUBSETS, **changes):
    """A SUMMARY in which every model has learned something; `changes` replace what it says of all of them."""
    of_each = {"left_out": {}, "learned": LEARNING, "attention": ATTENTION} | changes
    return {
        "dataset": "toy",
        "control": None,
        "chosen_on": chosen_on,
        "subsets": subsets,
        "models": {name: of_each for name in models},
    }
