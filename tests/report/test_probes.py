"""results/probes.md and its picture: the figures of the table, whatever was probed."""

import re

import numpy as np
import polars as pl
import pytest

from pipeline.formats.tables import PROBES, schema_of
from pipeline.report import pictures, probes, probes_picture
from tests.report.making import METHOD, around, bracketed, places

INFO = {"dataset": "toy", "control": None, "subsets": {"test-20": ["test", 20]}}
CURVES = [("m", probe, layer) for probe in ("difference_product", "bilinear") for layer in (0, 1, 2)]
ENCODERS = [*CURVES, ("words", "difference_product", None), ("overlap", "measures", None)]


def drawn(rng, encoders=ENCODERS, graded=False, splits=("validation", "test", "test-20"), p=0.5):
    """A table of PROBES in which layer 1 is selected."""
    rows = []
    for split in splits:
        for encoder, probe, layer in encoders:
            metric = "spearman" if graded else "accuracy"
            row = {"encoder": encoder, "probe": probe, "layer": layer, "selected": layer in (None, 1), "features": 8}
            row |= {"strength": 0.01, "metric": metric, "held_out": rng.random(), "train": rng.random(), "split": split}
            row |= {"n": 60, "effective_components": 55.0, "majority": None if graded else 0.6543}
            for name in ["spearman"] if graded else ["accuracy", "f1", "auc", "spearman"]:
                row |= dict(zip((name, f"{name}_low", f"{name}_high"), around(rng, rng.uniform(0.1, 0.9))))
            row |= {"control": rng.random(), "control_train": rng.random(), "zero_shot": "cosine"}
            row |= dict(zip(("selectivity", "selectivity_low", "selectivity_high"), around(rng, rng.uniform(-1, 1))))
            if row["selected"] and probe != "measures":
                row |= dict(zip(("difference", "difference_low", "difference_high"), around(rng, rng.uniform(-1, 1))))
                row |= {"p": p}
            row |= dict(zip(("gain", "gain_low", "gain_high"), around(rng, rng.uniform(-1, 1)))) | {"gain_p": 0.75}
            rows.append(row | {"zero_shot_spearman": rng.uniform(-1, 1), "zero_shot_auc": rng.random()})
    return pl.DataFrame(rows, schema=schema_of(PROBES))


def numbers(text):
    return [float(number) for number in re.findall(r"[-+]?\d+\.\d+", text)]


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("graded", [False, True])
def test_the_figures_of_the_page_are_those_of_the_table_rounded(rng, graded):
    table = drawn(rng, graded=graded)
    text = probes.page(table, {}, INFO, METHOD)
    metric = "spearman" if graded else "accuracy"
    for split in ("validation", "test", "test-20"):
        body = re.search(rf"^## {split}\n(.*?)(?=^## )", text, re.M | re.S)[1]
        lines = [
            line for line in body.splitlines() if line.startswith("| ") and "---" not in line and "encoder" not in line
        ]
        rows = table.filter("selected", split=split).sort(metric, descending=True).rows(named=True)
        assert len(lines) == 2 * len(rows)
        figures = ["spearman"] if graded else ["accuracy", "f1", "auc", "spearman"]
        for row, first, second in zip(rows, lines[: len(rows)], lines[len(rows) :]):
            expected = [bracketed(row, name) for name in figures]
            expected += [
                f"{row['zero_shot_spearman']:.{places(row, 'spearman')}f}",
                bracketed(row, "gain", "+"),
                "0.75",
            ]
            assert [cell for cell in cells(first) if numbers(cell)] == expected
            expected = [f"{row[name]:.{places(row, metric)}f}" for name in ("held_out", "train", "control")]
            expected.append(bracketed(row, "selectivity", "+"))
            if row["difference"] is not None:
                expected += [bracketed(row, "difference", "+"), f"{row['p']:.2g}"]
            assert [cell for cell in cells(second) if numbers(cell)] == expected


def test_the_answer_names_the_better_probe_by_held_out_pairs_and_whether_it_beats_word_overlap(rng):
    for p, difference, words in (
        (0.01, 0.1, "better than"),
        (0.01, -0.1, "worse than"),
        (0.5, 0.1, "not significantly"),
    ):
        table = drawn(rng, p=p).with_columns(
            difference=pl.when(pl.col("difference").is_null()).then(None).otherwise(difference),
            held_out=pl.when(probe="bilinear").then(0.9).otherwise(0.5),
        )
        lines = probes.page(table, {}, INFO, METHOD).splitlines()
        [line] = [line for line in lines if line.startswith("- **m, layer 1**")]
        row = table.filter("selected", encoder="m", probe="bilinear", split="test").row(0, named=True)
        assert f"accuracy {bracketed(row, 'accuracy')}" in line
        assert "with bilinear" in line
        assert words in line
        assert any(line.startswith("- **overlap**") and line.endswith("the floor.") for line in lines)


def test_what_was_not_probed_is_named_with_its_reason(rng):
    text = probes.page(drawn(rng), {"con_trol": "nobody trained it"}, INFO, METHOD)
    assert r"- **con\_trol** was not probed: nobody trained it." in text
    two = probes.page(drawn(rng), {"a": "no one", "b": "it", "c": "no one"}, INFO, METHOD)
    assert "- **a** and **c** were not probed: no one.\n- **b** was not probed: it." in two
    empty = pl.DataFrame(schema=schema_of(PROBES))
    assert "not probed: why not" in probes.page(empty, {"m": "why not"}, INFO, METHOD)
    assert "There is nothing to probe" in probes.page(empty, {}, INFO, METHOD)


def test_the_majority_stands_beside_accuracies_and_not_beside_grades(rng):
    words = "the label that is most frequent on train is right for 65 % of them"
    assert words in probes.page(drawn(rng), {}, INFO, METHOD)
    assert words not in probes.page(drawn(rng, graded=True), {}, INFO, METHOD)


def test_no_table_has_more_than_ten_rows(rng):
    many = [(f"b{i}", "bilinear", None) for i in range(13)]
    text = probes.page(drawn(rng, many, splits=("test",)), {}, INFO, METHOD)
    assert len(re.findall(r"^\| b\d", text, re.M)) == 2 * 10
    assert "3 more are in probes.csv." in text


def test_the_lines_of_the_picture_are_the_columns_of_the_table(rng):
    table = drawn(rng)
    figure = probes_picture.draw(table, probes.shown_split(table, INFO["subsets"]))
    left, right = figure.axes
    lines = {line.get_label(): line.get_ydata() for axis in (left, right) for line in axis.get_lines()}
    test = table.filter(split="test")
    of_model = test.filter(encoder="m", probe="bilinear").sort("layer")
    assert np.array_equal(lines["bilinear"], of_model["accuracy"])
    first = test.filter(encoder="m", probe="difference_product").sort("layer")
    assert np.array_equal(lines["zero-shot"], first["zero_shot_spearman"])
    assert set(lines["most frequent label"]) == {0.6543}
    dashed = [line.get_ydata() for line in left.get_lines() if line.get_linestyle() == "--"]
    assert np.array_equal(dashed[1], of_model["control"])
    assert np.array_equal(right.get_lines()[1].get_ydata(), of_model["spearman"])


@pytest.mark.parametrize("encoders", [(), [("overlap", "measures", None)], CURVES])
def test_the_picture_of_whatever_there_is(tmp_path, rng, encoders):
    table = drawn(rng, encoders) if encoders else pl.DataFrame(schema=schema_of(PROBES))
    pictures.save(probes_picture.draw(table, probes.shown_split(table, {})), tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
