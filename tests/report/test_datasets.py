"""results/datasets.md and datasets.png: the same encoders on several data sets."""

import re

import numpy as np
import polars as pl
import pytest

from pipeline.formats import datasets as datasets_format
from pipeline.formats import tables
from pipeline.report import datasets, datasets_picture, pictures
from tests.report import making
from tests.report.making import METHOD

ENCODERS = [*making.ENCODERS, ("sbert", "own", "none", None, "cosine")]
SIZES = {"train": 50, "test": 40}
DICE = METHOD.reference


def figures(table, name, **values):
    """A table with other figures in the selected rows of an encoder."""
    where = pl.col("selected") & (pl.col("name") == name)
    return table.with_columns(
        pl.when(where).then(value).otherwise(column).alias(column) for column, value in values.items()
    )


@pytest.fixture
def found(rng):
    """MRPC with all encoders, graded STS-B without the model n, SICK without a train split."""
    mrpc = making.correlations(rng, ENCODERS, SIZES)
    stsb = making.correlations(rng, [key for key in ENCODERS if key[0] != "n"], SIZES | {"test-20": 20})
    sick = making.correlations(rng, ENCODERS, {"test": 7})
    stsb = stsb.with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in ("positives", "auc", "auc_low", "auc_high")
    )
    sick = sick.with_columns(effective_components=pl.lit(7.0))
    return {
        "mrpc": (mrpc, {"subsets": {}}),
        "sts_b": (stsb, {"subsets": {"test-20": ["test", 20]}}),
        "sick": (sick, {"subsets": {}}),
    }


@pytest.fixture
def joined(found):
    return datasets.joined(found)


def tables_of(text):
    """Each table of a page as {first cell: {header: cell}}."""
    found = []
    for lines in re.findall(r"((?:^\|.*\n)+)", text, re.MULTILINE):
        header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines.splitlines()]
        found.append({row[0]: dict(zip(header, row)) for row in rows})
    return found


def shown(row, name="spearman", sign=""):
    return making.bracketed(row, name, sign)


def row_of(joined, dataset, name):
    return joined.filter("reported", "selected", dataset=dataset, name=name).row(0, named=True)


def test_the_table_has_every_row_of_every_data_set_and_says_what_is_reported(found, joined, tmp_path):
    assert joined.drop("dataset", "reported").equals(pl.concat([table for table, _ in found.values()]))
    reported = joined.filter("reported").select("dataset", "split").unique().sort("dataset")
    assert reported.rows() == [("mrpc", "test"), ("sick", "test"), ("sts_b", "test")]
    tables.write(tmp_path / "datasets.csv", joined, datasets_format.DATASETS)
    assert tables.read(tmp_path / "datasets.csv", datasets_format.DATASETS, "x").equals(joined)


def test_the_figures_are_those_of_the_table_and_what_was_not_run_is_empty(joined):
    rho, difference, _ = tables_of(datasets.page(joined, METHOD))
    assert set(rho) == {"m", "n", "overlap dice", "overlap tfidf", "words", "sbert"}
    assert set(difference) == set(rho) - {DICE}
    for name, cells in rho.items():
        for dataset, header in (("mrpc", "mrpc, test"), ("sick", "sick, test"), ("sts_b", r"sts\_b, test")):
            if (name, dataset) == ("n", "sts_b"):
                assert cells[header] == difference[name][header] == ""
                continue
            row = row_of(joined, dataset, name)
            assert cells[header] == shown(row)
            if name != DICE:
                assert difference[name][header] == shown(row, "difference", "+")


def test_bold_is_above_in_one_table_and_different_in_the_other(found):
    table, info = found["mrpc"]
    table = figures(table, "m", difference=0.2, difference_p=0.01)
    table = figures(table, "words", difference=-0.2, difference_p=0.01)
    text = datasets.page(datasets.joined({"mrpc": (table, info)}), METHOD)
    rho, difference, _ = tables_of(text)
    assert [name for name, cells in rho.items() if cells["mrpc, test"].startswith("**")] == ["m"]
    assert {name for name, cells in difference.items() if cells["mrpc, test"].startswith("**")} == {"m", "words"}
    assert "Significantly above overlap dice: m. Significantly below: words." in text
    assert "Nothing differs significantly from overlap dice." in datasets.page(datasets.joined(found), METHOD)


def test_what_a_data_set_can_tell(found):
    table, info = found["mrpc"]
    table = figures(table, "overlap tfidf", spearman=0.95, spearman_low=0.9, spearman_high=0.99)
    table = table.with_columns(ceiling=pl.lit(0.818))
    joined = datasets.joined(found | {"mrpc": (table, info)})
    cells = tables_of(datasets.page(joined, METHOD))[2]["[mrpc](<datasets/mrpc/report.md>)"]
    sbert = row_of(joined, "mrpc", "sbert")
    assert (cells["pairs"], cells["largest rho possible"]) == ("40", "0.82")
    assert cells["best word overlap"] == "overlap tfidf 0.950 [0.900, 0.990]"
    assert (cells["best sentence encoder"], cells["its rho"]) == ("sbert", shown(sbert))
    assert cells["minus overlap dice"] == shown(sbert, "difference", "+")
    assert cells["p"] == f"{sbert['difference_p']:.2g}"
    sizes = joined.filter("reported", "selected", dataset="mrpc")["detectable"].drop_nulls()
    assert cells["detectable difference"] == f"{sizes.min():#.2g} to {sizes.max():#.2g}"


def test_what_to_beware_of_is_said_of_the_data_set_that_it_holds_for(joined):
    text = datasets.page(joined, METHOD, failed=["pan"])
    assert "- **sick: layers were chosen on the pairs that are reported" in text
    assert "mrpc: layers" not in text
    assert "- sick: **Few components" in text
    assert "**Missing, because the run failed: pan.**" in text


def test_no_table_has_more_than_ten_rows_and_the_reference_stays(rng):
    models = [(f"m{i:02}", "idf_mean", "none", 1, "cosine") for i in range(20)]
    table = making.correlations(rng, [*models, *making.ENCODERS[-3:]], SIZES)
    table = table.with_columns(pl.when(pl.col("name") == DICE).then(-0.99).otherwise("spearman").alias("spearman"))
    joined = datasets.joined({f"d{i}": (table, {"subsets": {}}) for i in range(12)})
    text = datasets.page(joined, METHOD)
    rho, difference, abilities = tables_of(text)
    assert (len(rho), len(difference), len(abilities)) == (10, 10, 10)
    assert list(rho)[-1] == DICE
    assert "13 more encoders are in [datasets.csv]" in text
    assert all(name.endswith("(idf mean)") for name in rho if name.startswith("m"))


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_without_a_reference_and_with_everything_undefined_there_is_still_a_page(rng, tmp_path, missing):
    table = making.correlations(rng, reference=None)
    names = [name for name in table.columns if name.startswith(("spearman", "difference", "detectable", "ceiling"))]
    table = table.with_columns(pl.lit(missing, pl.Float64).alias(name) for name in names)
    joined = datasets.joined({"one": (table, {"subsets": making.SUBSETS})})
    text = datasets.page(joined, making.Method(0.9, 10, None))
    assert "nan" not in text
    assert "None" not in text
    assert tables_of(text)[0]["m"] == {"encoder": "m", "one, test": "undefined"}
    pictures.save(datasets_picture.draw(joined, None), tmp_path / "d.png")


def test_an_encoder_has_the_same_look_and_place_in_every_panel(joined, tmp_path):
    figure = datasets_picture.draw(joined, DICE)
    axes = [axis for axis in figure.axes if axis.get_visible()]
    panels = dict(zip(["mrpc", "sts_b", "sick"], zip(axes[::2], axes[1::2])))
    colours = {}
    for name, (left, right) in panels.items():
        rows = joined.filter("reported", dataset=name)
        assert left.get_title(loc="left") == f"{name}, test ({rows['n'][0]} pairs)"
        lines = {line.get_label(): line for line in left.lines}
        for model in ("m", "n") if name != "sts_b" else ("m",):
            curve = rows.filter(pl.col("layer").is_not_null(), encoder=model).sort("layer")
            line = lines[model]
            assert np.array_equal(line.get_ydata(), curve["spearman"])
            assert colours.setdefault(model, line.get_color()) == line.get_color()
        assert lines[DICE].get_ydata()[0] == row_of(joined, name, DICE)["spearman"]
        bars = rows.filter(pl.col("layer").is_null())
        assert np.array_equal(right.lines[0].get_ydata(), bars["spearman"])
        assert right.lines[0].get_xdata().tolist() == [0, 1, 2, 3]
    assert "n" not in {line.get_label() for line in panels["sts_b"][0].lines}
    named = [[label.get_text() for label in right.get_xticklabels()] for _, right in panels.values()]
    assert named == [
        [""] * 4,
        ["overlap dice", "overlap tfidf", "words", "sbert"],
        ["overlap dice", "overlap tfidf", "words", "sbert"],
    ]
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["m", "n", "selected layer", DICE]
    pictures.save(figure, tmp_path / "d.png")


@pytest.mark.parametrize("kept", [pl.col("layer").is_null(), pl.col("layer").is_not_null()])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_models_or_baselines_alone_and_any_number_of_data_sets(rng, tmp_path, kept, count):
    table = making.correlations(rng).filter(kept)
    joined = datasets.joined({f"_d$_{i}": (table, {"subsets": making.SUBSETS}) for i in range(count)})
    pictures.save(datasets_picture.draw(joined, DICE), tmp_path / "d.png")
    assert datasets.page(joined, METHOD)


@pytest.mark.parametrize("count", [3, 5])
def test_names_above_an_empty_cell_hang_into_it_and_make_no_gap(rng, count):
    table = making.correlations(rng)
    figure = datasets_picture.draw(datasets.joined({f"d{i}": (table, {"subsets": {}}) for i in range(count)}), DICE)
    figure.draw_without_rendering()
    axes = [axis for axis in figure.axes if axis.get_visible()][1::2]
    assert [axis.get_xticklabels()[0].get_text() != "" for axis in axes] == [False] * (count - 2) + [True] * 2
    boxes = [axis.get_position() for axis in axes]
    assert np.allclose([box.height for box in boxes], boxes[0].height)
    gap = boxes[-3].y0 - boxes[-1].y1
    assert 0 < gap < boxes[0].height / 2


def test_data_sets_that_are_controls_are_called_so_and_others_are_not(joined):
    controls = {"mrpc": "permuted labels", "sick": ""}
    lines = datasets.page(joined, METHOD, controls=controls).splitlines()
    assert sum("control" in line for line in lines) == 1
    assert any(line.startswith("- mrpc (a control: permuted labels): ") for line in lines)
    assert "control" not in datasets.page(joined, METHOD)
