import pytest

from pipeline.base.errors import InputError
from pipeline.text.settings import Prepare, Tokenize


@pytest.mark.parametrize("limit", [1, 0, -3])
def test_a_limit_that_leaves_no_correlation_is_refused(limit):
    with pytest.raises(InputError, match=rf"prepare\.limit is {limit}: at least 2"):
        Prepare(limit=limit)


@pytest.mark.parametrize("max_tokens", [0, -5])
def test_a_sentence_has_a_token_at_least(max_tokens):
    with pytest.raises(InputError, match=rf"tokenize\.max_tokens is {max_tokens}, expected at least 1"):
        Tokenize(max_tokens=max_tokens, truncate=False)


def test_values_on_the_limit_are_taken():
    assert Prepare(limit=2).limit == 2
    assert Tokenize(max_tokens=1, truncate=True).max_tokens == 1
