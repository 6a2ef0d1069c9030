"""results/poolings.md and poolings.png: the figures of the table, whatever was swept."""

import json
import re
from pathlib import Path

import matplotlib.image
import numpy as np
import polars as pl
import pytest

from pipeline import comparing, comparison_report, splits
from pipeline.correlation import Correlate
from stages import compare
from tests.test_comparing import LEARNED, ROWS, curve, keys_of, pairs_of, scores_of

SETTINGS = Correlate(resamples=100, confidence=0.9, seed=3)
SUBSETS = {"test-20": ["test", 20]}
FIT = {
    "settings": {"runs": 2, "seed": 0, "shuffle_labels": False},
    "pairs": 50,
    "layers": [0, 1],
    "poolings": {
        "attention": {"kept": [False, True], "epoch": [1, 20], "rho_at_start": [0.1, 0.2], "rho_held_out": [None, 0.75]},
        "scalar_mix": {"kept": [True], "epoch": [7], "rho_at_start": [0.1], "rho_held_out": [0.125]},
    },
}
FACES = {  # what can stand in a table
    "everything": ROWS,
    "no learned poolings": [*curve("mean"), *curve("max"), *curve("mean", correction="centre"), ("first_last", "none", None, "cosine")],
    "attention without its control": [*curve("mean"), *LEARNED[:4]],
    "no mean": [*curve("norm_mean", correction="centre"), *curve("skip_first", correction="centre")],
    "attention without the mean": LEARNED,
    "one pooling": curve("mean"),
    "no layers": [("first_last", "none", None, "cosine")],
}


class Study:
    """The table and the curves of some encoders, all of one face."""

    def __init__(self, rows=ROWS, encoders=("m",), sizes=None, labels=None, change=lambda matrix: matrix):
        self.pairs = pairs_of(sizes or {"train": 50, "validation": 30, "test": 40})
        self.info = {"dataset": "toy", "subsets": SUBSETS if not sizes else {}}
        learned = any(row in LEARNED for row in rows)
        self.fits = {name: FIT if learned else {"nothing": "fit.poolings is empty"} for name in encoders}
        tables, curves = [], []
        for name in encoders:
            keys = keys_of(rows).with_columns(encoder=pl.lit(name))
            matrix = change(scores_of(self.pairs, np.random.default_rng().uniform(0.1, 1, len(rows))))
            tables.append(comparing.compare(keys, matrix, self.pairs, self.info["subsets"], SETTINGS, comparing.folds_of(self.pairs, self.fits[name])))
            curves.append(comparing.by_layer(keys, matrix, self.pairs, self.info["subsets"]))
        self.table, self.curves = pl.concat(tables), pl.concat(curves)

    def page(self, **changes):
        given = {"left_out": {name: {} for name in self.fits}, "fits": self.fits, "looks": {}} | changes
        chosen_on = splits.chosen_on(self.pairs["split"])
        return "\n".join(comparison_report.page(self.table, given["left_out"], given["fits"], given["looks"], self.info, SETTINGS, chosen_on))

    def section(self, heading):
        """The lines below a heading, up to the next one."""
        return re.split(r"^#+ ", self.page().split(heading + "\n")[1], flags=re.M)[0]


def numbers(cell):
    return [float(one) for one in re.findall(r"[-+]?\d*\.\d+(?:e-?\d+)?", cell)]


def test_the_figures_of_the_page_are_those_of_the_table_rounded():
    study = Study(encoders=("m", "n"))
    for encoder in ("m", "n"):
        first = study.section(f"### {encoder}, every pooling, test").strip().split("\n\n")[0]
        lines = [line.split("|")[1:-1] for line in first.splitlines()]
        header, cells = [one.strip() for one in lines[0]], lines[2:]
        expected = study.table.filter(encoder=encoder, split="test")
        assert len(cells) == len(expected) == 11
        for row, cell in zip(expected.iter_rows(named=True), cells):
            cell = dict(zip(header, [one.strip() for one in cell]))
            assert row["pooling"].replace("_", " ") in cell["what"]
            if row["family"] in ("correction", comparing.ALL):
                assert row["correction"].replace("_", " ") in cell["what"]
            assert cell["layer"] == row["layer"]
            assert cell["against"] == (row["against"] or "")
            assert numbers(cell["rho"]) == pytest.approx([row["spearman"], row["low"], row["high"]], abs=0.0005)
            assert numbers(cell["sd of runs"]) == pytest.approx([row["spread"]] if row["runs"] > 1 else [], abs=0.00005)
            if row["against"]:
                assert numbers(cell["difference"]) == pytest.approx([row["difference"], row["difference_low"], row["difference_high"]], abs=0.0005)
                assert numbers(cell["choosing again"]) == pytest.approx([row["choice_difference_low"], row["choice_difference_high"]], abs=0.0005)
                assert float(cell["p"]) == pytest.approx(row["p"], rel=0.05)
                assert float(cell["found from"]) == pytest.approx(row["detectable"], abs=0.0005)
            else:
                assert cell["difference"] == cell["choosing again"] == cell["p"] == cell["found from"] == ""


def test_every_split_has_its_sentence_and_the_last_that_is_no_subset_its_table():
    study = Study()
    page = study.page()
    assert re.findall(r"^\*\*(\S+)\*\* \((\d+) pairs\)", page, flags=re.M) == [("validation", "30"), ("test", "40"), ("test-20", "20")]
    assert "every pooling, test\n" in page
    assert "every pooling, test-20" not in page
    assert "largest rho on train" in page
    assert "There is no split but" not in page


@pytest.mark.parametrize(
    ("p", "control", "said"),
    [
        (0.01, 0.04, "Learned attention differs from the mean: +0.1000 [+0.050, +0.150], p = 0.01; and differs from its control"),
        (0.01, 0.06, "Learned attention differs from the mean: +0.1000 [+0.050, +0.150], p = 0.01; but cannot be told from its control"),
        (0.06, 0.06, "Learned attention cannot be told from the mean: +0.1000 [+0.050, +0.150], p = 0.06; nor from its control"),
        (0.06, 0.00001, "Learned attention cannot be told from the mean: +0.1000 [+0.050, +0.150], p = 0.06; and differs from its control"),
        (0.06, None, "Learned attention cannot be told from the mean: +0.1000 [+0.050, +0.150], p = 0.06."),
    ],
)
def test_what_is_said_of_attention(p, control, said):
    same = {"family": "pooling", "pooling": "attention", "difference": 0.1, "difference_low": 0.05, "difference_high": 0.15}
    table = pl.DataFrame([same | {"against": "mean", "p": p}, same | {"against": "diagonal", "p": control}], schema=comparing.SCHEMA)
    found = comparison_report.answer(table)
    assert found.startswith(said)
    assert ("p < .0001" in found) == (control == 0.00001)


def row(pooling, against, difference=0.1, spread=0.01, layer="1"):
    return {"family": "pooling", "pooling": pooling, "against": against, "layer": layer, "spread": spread, "difference": difference} | {
        "difference_low": difference - 0.05,
        "difference_high": difference + 0.05,
        "p": 0.01,
    }


def test_a_control_or_attention_that_is_the_mean_is_said_to_be():
    mean = {"family": "pooling", "pooling": "mean", "layer": "1"}
    kept = [mean, row("attention", "mean"), row("diagonal", "mean", 0.0, 0.0), row("attention", "diagonal")]
    found = comparison_report.answer(pl.DataFrame(kept, schema=comparing.SCHEMA))
    assert found.endswith("p = 0.01. Its control of as many parameters has learned nothing beyond noise at the layer chosen and is the mean.")
    nothing = [mean, row("attention", "mean", 0.0, 0.0), row("diagonal", "mean"), row("attention", "diagonal")]
    found = comparison_report.answer(pl.DataFrame(nothing, schema=comparing.SCHEMA))
    assert found == "Attention has learned nothing beyond noise at the layer chosen: it is the mean."
    elsewhere = [mean, row("attention", "mean", 0.0, 0.0, "2")]  # another layer that happens to have the same rho
    assert "cannot" in comparison_report.answer(pl.DataFrame(elsewhere, schema=comparing.SCHEMA).with_columns(p=pl.lit(0.5)))


def test_neighbours_of_one_kind_share_their_tags():
    assert comparison_report.marked(["mag", "ni", "tude", " 7", ".", "4", " a", " b"], [1, 1, 2, 2, 2, 0.1, 0.1, 1]) == "magni<b>tude 7.</b><sub>4 a</sub> b"
    assert comparison_report.marked(["a", " ", "*", " b"], [2, 0.1, 1, 1]) == r"<b>a</b> \* b"


def test_without_attention_nothing_is_said_of_it_and_no_pooling_is_picked():
    study = Study(FACES["no learned poolings"])
    assert "**test** (40 pairs). Learned attention was not compared with the mean." in study.page()
    assert "Nothing was learned: fit.poolings is empty." in study.page()


def test_what_was_learned_is_shown_at_the_layer_that_was_chosen():
    study = Study()
    layer = study.table.filter(family="pooling", pooling="attention")["layer"][0]
    at_layer = {"0": "| attention | 0 | 2 | 0.1000 | undefined | 1 | no: the mean is kept |", "1": "| attention | 1 | 2 | 0.2000 | 0.7500 | 20 | yes |"}
    page = study.page()
    assert at_layer[layer] in page
    assert "| scalar mix |  | 2 | 0.1000 | 0.1250 | 7 | yes |" in page
    assert "50 train pairs." in page
    assert "permuted" not in page
    shuffled = FIT | {"settings": FIT["settings"] | {"shuffle_labels": True}}
    assert "50 train pairs. Train labels were permuted" in study.page(fits={"m": shuffled})


def test_what_was_left_out_is_named_with_its_reason():
    page = Study(encoders=("m", "n")).page(left_out={"m": {"last_4": "needs every token (dump.keep)", "sif": "too"}, "n": {}})
    assert "Left out: last_4 (needs every token (dump.keep)); sif (too)." in page.split("## n\n")[0]
    assert "Left out" not in page.split("## n\n")[1]


def test_one_split_alone_is_reported_with_a_warning():
    page = Study(FACES["no learned poolings"], sizes={"validation": 50}).page()
    assert "**There is no split but validation**" in page
    assert "largest rho on validation" in page


@pytest.mark.parametrize(("face", "encoders"), [("everything", 4), *((face, 1) for face in FACES)])
def test_there_is_a_page_and_a_picture_of_whatever_was_swept(tmp_path, face, encoders):
    study = Study(FACES[face], [f"model-{i}" for i in range(encoders)])
    assert all(f"### {name}, every pooling, test" in study.page() for name in study.fits)
    split = comparison_report.main_split(study.table, study.info["subsets"])
    assert split == "test"
    comparison_report.picture(study.table, study.curves, split, tmp_path / "p.png.part")
    assert (tmp_path / "p.png.part").read_bytes().startswith(b"\x89PNG")
    height, width, _ = matplotlib.image.imread(tmp_path / "p.png.part", format="png").shape
    assert (height, width) == (int(3.7 * encoders * 160), int(9.6 * 160))


def test_a_study_of_baselines_alone_has_an_empty_table_and_still_a_page_and_a_picture(tmp_path, monkeypatch):
    """`models` is empty: every stage before made nothing, and `dvc repro` goes on."""
    (tmp_path / "pairs").mkdir()
    pairs_of({"train": 9, "test": 9}).write_parquet(tmp_path / "pairs/pairs.parquet")
    (tmp_path / "pairs/info.json").write_text(json.dumps({"dataset": "toy", "subsets": {}}))
    correlate = {"resamples": 100, "confidence": 0.9, "seed": 0}
    (tmp_path / "params.yaml").write_text(json.dumps({"dataset": "toy", "models": [], "baselines": [], "pooling": "mean", "correlate": correlate}))
    monkeypatch.chdir(tmp_path)
    compare.main(*[Path("pairs")] * 4, *map(Path, ("t.csv", "l.csv", "r.md", "p.png")))
    assert Path("t.csv").read_text().strip() == ",".join(comparing.SCHEMA)
    assert Path("l.csv").read_text().strip() == ",".join(comparing.CURVES)
    assert "There are no models" in Path("r.md").read_text()
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")


def test_undefined_figures_are_shown_as_such(tmp_path):
    """Equal scores of everything but the mean, and labels that are all equal on test."""

    def flat(matrix):
        matrix[2:] = 1.0
        return matrix

    study = Study(change=flat)
    assert study.table.filter(pooling="max")["p"].null_count() == 3
    line = next(line for line in study.section("### m, every pooling, test").splitlines() if line.startswith("| max"))
    assert [one.strip() for one in line.split("|")[3:-1]] == ["undefined", "", "", "mean", "", "", ""]
    assert "Learned attention was not compared with the mean." in study.page()
    comparison_report.picture(study.table, study.curves, "test", tmp_path / "p.png")


WEIGHTS = {0: [0.7, 0.1, 0.2], 1: [0.25, 0.75], 2: [1.0], 3: [0.5, 0.5], 7: [0.9, 0.1]}
PIECES = {0: ["The", " cat", " *"], 1: ["a", " dog"], 2: ["Fox"], 3: ["a", "|b"], 7: ["never", " seen"]}
IDF = {0: [0.1, 2.0, 1.0], 1: [0.2, 0.4], 2: [3.0], 3: [0.2, 0.3], 7: [9.0, 9.0]}


def by_hand(**changes):
    pairs = pl.DataFrame({"pair_id": [3, 1, 2], "split": ["train", "test", "test"], "sentence1_id": [7, 0, 1], "sentence2_id": [7, 1, 2]})
    given = {name: {i: np.array(one) for i, one in values.items()} for name, values in (("weights", WEIGHTS), ("idf", IDF))} | changes
    return comparison_report.look(given["weights"], PIECES, given["idf"], pairs, "4")


def test_three_sentences_by_hand(monkeypatch):
    monkeypatch.setattr(comparison_report, "RARE", 1)
    lines = by_hand()
    assert lines[0] == "### What attention looks at (first run, layer 4, 3 sentences)"
    # multiples of 1 / T: 2.1 .3 .6, .5 1.5, 1, ranks 6 1 3, 2 5, 4; of idf: 1 5 4, 2 3, 6; of the place 0 .5 1, 0 1, 0: 2 4 5.5, 2 5.5, 2
    of_idf = 1 - 6 * (25 + 16 + 1 + 0 + 4 + 4) / (6 * 35)
    of_place = np.corrcoef([6, 1, 3, 2, 5, 4], [2, 4, 5.5, 2, 5.5, 2])[0, 1]
    assert lines[2] == f"Spearman's rho of a token's weight and its idf: {of_idf:.2f}; and its place in the sentence: {of_place:.2f}."
    assert lines[4] == r"- weighs most, in multiples of the mean's weight: The 2.10, dog 1.50, Fox 1.00, \* 0.60, a 0.50, cat 0.30"
    assert lines[5] == r"- weighs least, in multiples of the mean's weight: cat 0.30, a 0.50, \* 0.60, Fox 1.00, dog 1.50, The 2.10"
    assert lines[9:12] == [r"- <b>The</b> <sub>cat</sub> \*", "- <sub>a</sub> <b>dog</b>", "- Fox"]


def test_rare_pieces_are_not_listed_and_letters_not_shown(monkeypatch):
    assert by_hand()[4:6] == [f"- weighs {which}, in multiples of the mean's weight: " for which in ("most", "least")]
    monkeypatch.setitem(PIECES, 0, ["T", "h", "e"])
    monkeypatch.setitem(PIECES, 1, ["d", "o"])
    monkeypatch.setitem(PIECES, 2, ["F"])
    assert not any("Bold" in line for line in by_hand())


def test_where_attention_did_not_look_there_is_nothing_to_show():
    assert by_hand(weights={}) == []


def test_attention_that_is_the_mean_has_nothing_to_show():
    pairs = pl.DataFrame({"pair_id": [0], "split": ["test"], "sentence1_id": [4], "sentence2_id": [2]})
    weights = {i: np.full(n, 1 / n, dtype=np.float32) for i, n in ((2, 3), (4, 7))}
    lines = comparison_report.look(weights, {2: list("abc"), 4: list("abcdefg")}, weights, pairs, "0")
    assert "Every token weighs the same: the mean was kept." in lines
    assert not any("weighs most" in line for line in lines)
