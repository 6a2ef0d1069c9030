"""Witten-Bell against a slow definition over dictionaries."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from pipeline.demo.ngrams import witten_bell


def slow(train, test, order):
    """Bits per byte for each n up to `order`, with a recursion over counts of contexts."""
    counts, pad = defaultdict(Counter), bytes(order - 1)
    for text in train:
        data = pad + text.encode()
        for i in range(order - 1, len(data)):
            for n in range(1, order + 1):
                counts[n, data[i - n + 1 : i]][data[i]] += 1

    def p(data, i, n):
        if n == 0:
            return 1 / 256
        seen = counts[n, data[i - n + 1 : i]]
        lower = p(data, i, n - 1)
        return (seen[data[i]] + len(seen) * lower) / (seen.total() + len(seen)) if seen else lower

    asked = [(pad + text.encode(), i) for text in test for i in range(order - 1, order - 1 + len(text.encode()))]
    return [np.mean([-np.log2(p(data, i, n)) for data, i in asked]) for n in range(1, order + 1)]


@pytest.mark.parametrize("order", [1, 2, 5, 8])
def test_by_the_definition(order, rng):
    train, test = (["".join(rng.choice(list("aab é\n"), 30)) for _ in range(5)] for _ in range(2))
    bits = witten_bell(train, [*test, "zq"], order)
    np.testing.assert_allclose(bits, slow(train, [*test, "zq"], order), rtol=1e-12)


def test_probabilities_of_all_bytes_sum_to_one():
    """After the context `ab`: sum over every one-byte continuation that is text of its own."""
    train = ["abracadabra", "about"]
    context = witten_bell(train, ["ab"], 3)[2] * 2
    seven_bit = sum(2 ** -(witten_bell(train, ["ab" + chr(i)], 3)[2] * 3 - context) for i in range(128))
    unseen = 2 ** -(witten_bell(train, ["ab\x01"], 3)[2] * 3 - context)  # bytes above 127 are all as rare as \x01
    assert seven_bit + 128 * unseen == pytest.approx(1, rel=1e-9)


def test_a_higher_order_helps_on_text():
    bits = witten_bell(["the cat sat on the mat. " * 30], ["the cat on the mat"], 4)
    assert (np.diff(bits) < 0).all()


@pytest.mark.parametrize("order", [0, 9])
def test_an_order_that_does_not_fit_64_bits_is_refused(order):
    with pytest.raises(ValueError, match=f"an order of {order}"):
        witten_bell(["a"], ["a"], order)
