"""Witten-Bell against a slow definition over dictionaries."""

import os
from collections import Counter, defaultdict

import numpy as np
import pytest

from pipeline.ngrams import witten_bell


def slow(train, test, order):
    counts, after = defaultdict(Counter), lambda data, i, n: bytes(data[i - n + 1 : i])
    pad = bytes(order - 1)
    for text in train:
        data = pad + text.encode()
        for i in range(order - 1, len(data)):
            for n in range(1, order + 1):
                counts[n, after(data, i, n)][data[i]] += 1

    def p(data, i, n):
        if n == 0:
            return 1 / 256
        seen = counts[n, after(data, i, n)]
        lower = p(data, i, n - 1)
        return (seen[data[i]] + len(seen) * lower) / (seen.total() + len(seen)) if seen else lower

    bits = [[-np.log2(p(pad + text.encode(), i, n)) for text in test for i in range(order - 1, order - 1 + len(text.encode()))] for n in range(1, order + 1)]
    return np.mean(bits, axis=1)


@pytest.mark.parametrize("order", [1, 2, 5, 8])
def test_by_the_definition(order):
    random = np.random.default_rng(int.from_bytes(os.urandom(4), "little"))
    train, test = (["".join(random.choice(list("aab é\n"), 30)) for _ in range(5)] for _ in range(2))
    np.testing.assert_allclose(witten_bell(train, [*test, "zq"], order), slow(train, [*test, "zq"], order), rtol=1e-12)


def test_probabilities_of_all_bytes_sum_to_one():
    """After the context `ab`: sum over every one-byte continuation that is text of its own."""
    train = ["abracadabra", "about"]
    whole = sum(2 ** -(witten_bell(train, ["ab" + chr(i)], 3)[2] * 3 - witten_bell(train, ["ab"], 3)[2] * 2) for i in range(128))
    unseen = 128 * 2 ** -(witten_bell(train, ["ab\x01"], 3)[2] * 3 - witten_bell(train, ["ab"], 3)[2] * 2)  # bytes above 127, all as rare as \x01
    assert whole + unseen == pytest.approx(1, rel=1e-9)


def test_a_higher_order_helps_on_text_and_order_is_checked():
    bits = witten_bell(["the cat sat on the mat. " * 30], ["the cat on the mat"], 4)
    assert (np.diff(bits) < 0).all()
    for order in (0, 9):
        with pytest.raises(ValueError, match=f"an order of {order}"):
            witten_bell(["a"], ["a"], order)
