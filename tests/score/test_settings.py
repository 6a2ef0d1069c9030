import pytest

from pipeline.base.errors import InputError
from pipeline.base.settings import build
from pipeline.pool.names import Correction
from pipeline.score.settings import Score, Sweep
from pipeline.score.similarities import Similarity
from pipeline.score.swept import SweptPooling

SCORE = {"similarities": ["cosine"], "corrections": ["none"]}
SWEEP = SCORE | {"poolings": ["mean"], "controls": False}


def test_names_become_objects():
    score = build(Score, SCORE | {"corrections": ["none", "whitening_4"]}, "score")
    assert score == Score([Similarity("cosine")], [Correction.parse("none"), Correction.parse("whitening_4")])
    sweep = build(Sweep, SWEEP | {"poolings": ["attention", "pairs_of_layers"]}, "sweep")
    assert sweep.poolings == [SweptPooling.parse("attention"), SweptPooling.parse("pairs_of_layers")]


BAD = [
    ({"corrections": ["center"]}, r"corrections: correction is 'center': did you mean centre"),
    ({"corrections": ["pairs_of_layers"]}, r"corrections: correction is 'pairs_of_layers'"),
    ({"corrections": ["whitening_0"]}, r"corrections: correction is 'whitening_0': K is 0 there"),
    ({"corrections": []}, r"{}\.corrections is empty: expected at least one, such as none"),
    ({"corrections": ["none", "none"]}, r"{}\.corrections lists none twice: once is enough"),
    ({"similarities": ["cosin"]}, r"similarities: similarity is 'cosin': did you mean cosine"),
    ({"similarities": []}, r"{}\.similarities is empty: expected at least one, such as cosine"),
    ({"similarities": ["dot", "dot"]}, r"{}\.similarities lists dot twice: once is enough"),
    ({"similarities": "cosine"}, r"similarities is 'cosine', expected list\[str\]"),
]
BAD_SWEEP = [
    (
        {"poolings": ["mean", "median"]},
        r"poolings: pooling is 'median': did you mean .*mean.*Expected one of mean, last",
    ),
    ({"poolings": ["last_0"]}, r"poolings: pooling is 'last_0': K is 0 there, expected at least 1"),
    ({"poolings": []}, r"sweep\.poolings is empty: expected at least one, such as mean"),
    ({"poolings": ["mean", "max", "mean"]}, r"sweep\.poolings lists mean twice: once is enough"),
    ({"poolings": ["pairs_of_layers"] * 2}, r"sweep\.poolings lists pairs_of_layers twice"),
    ({"poolings": ["pair_of_layers"]}, r"poolings: pooling is 'pair_of_layers': did you mean pairs_of_layers"),
    ({"poolings": ["attention_0"]}, r"poolings: pooling is 'attention_0', expected attention: it stands for all runs"),
    ({"poolings": ["mean", "scalar_mix_1"]}, r"poolings: pooling is 'scalar_mix_1', expected scalar_mix"),
    ({"controls": "no"}, r"controls is 'no', expected bool"),
]


@pytest.mark.parametrize("section", [Score, Sweep])
@pytest.mark.parametrize(("change", "message"), BAD)
def test_unknown_empty_and_repeated_names_are_refused(section, change, message):
    name = section.__name__.lower()
    values = {"Score": SCORE, "Sweep": SWEEP}[section.__name__]
    with pytest.raises(InputError, match=message.format(name)) as caught:
        build(section, values | change, f"section {name}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("change", "message"), BAD_SWEEP)
def test_poolings_of_a_sweep_are_checked(change, message):
    with pytest.raises(InputError, match=message) as caught:
        build(Sweep, SWEEP | change, "section sweep")
    assert "\n" not in str(caught.value)
