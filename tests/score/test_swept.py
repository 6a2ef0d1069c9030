import pytest

from pipeline.base.errors import InputError
from pipeline.pool.names import Pooling
from pipeline.score.swept import SweptPooling, Variant

FITS = {"attention": {0: {}, 1: {}}, "scalar_mix": {0: {}, 1: {}, 2: {}}}


def variants(name, layers=(0, 3, 6)):
    return SweptPooling.parse(name).variants(layers, FITS)


def test_a_pooling_is_itself_at_each_layer():
    (variant,) = variants("last_4")
    assert variant == Variant(Pooling.parse("last_4"), "last_4", None)
    assert variant.option(3) == "3"


@pytest.mark.parametrize(("name", "layer", "option"), [("attention", 6, "6"), ("scalar_mix", None, None)])
def test_what_is_learned_stands_for_all_its_runs(name, layer, option):
    runs = list(FITS[name])
    assert variants(name) == [Variant(Pooling.parse(f"{name}_{run}"), name, run) for run in runs]
    assert {variant.option(layer) for variant in variants(name)} == {option}


def test_pairs_of_layers_are_all_pairs_and_options_of_one_choice():
    listed = variants("pairs_of_layers")
    assert [str(variant.pooling) for variant in listed] == ["layers_0_3", "layers_0_6", "layers_3_6"]
    assert {(variant.listed, variant.run) for variant in listed} == {("pairs_of_layers", None)}
    assert [variant.option(None) for variant in listed] == ["0+3", "0+6", "3+6"]
    assert variants("layers_3_6") == [listed[2]]  # one that is listed by itself is the same option


def test_a_mix_without_a_choice_has_no_option():
    assert [variant.option(None) for variant in variants("first_last")] == [None]


def test_a_run_is_refused():
    with pytest.raises(InputError, match=r"^pooling is 'attention_0', expected attention: it stands for all runs"):
        SweptPooling.parse("attention_0")
