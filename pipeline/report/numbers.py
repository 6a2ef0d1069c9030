"""Figures as text. Nothing else in the library rounds.

A figure has no more digits than its interval supports. Statistics between -1 and 1 (rho, AUC, accuracy, differences,
slopes) have three decimals where the interval is at most .1 wide, so +-.05, and two where it is wider or there is none.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.stats.components import FEW, FEWEST

DECIMALS, FEWER_DECIMALS = 3, 2
WIDE = 0.1
"""width of an interval that supports no third decimal"""
ROUNDING = 1e-9
ALPHA = 0.05
"""a corrected p-value below this is called significant"""
UNDEFINED = "undefined"


def is_defined(value: float | None) -> bool:
    """Whether there is a number: what is undefined is empty, such as rho of scores that are all equal."""
    return value is not None and math.isfinite(value)


def fixed(value: float | None, decimals: int = DECIMALS, sign: str = "") -> str:
    """A number with so many decimals, or "undefined"; sign "+" shows the sign of positive ones too."""
    return f"{value:{sign}.{decimals}f}" if is_defined(value) else UNDEFINED


def if_any(value: float | None, decimals: int = DECIMALS, sign: str = "") -> str:
    """A number with so many decimals, or nothing."""
    return fixed(value, decimals, sign) if is_defined(value) else ""


def decimals(low: float | None, high: float | None) -> int:
    """How many decimals an interval supports."""
    if low is None or high is None or not high - low <= WIDE + ROUNDING:  # NaN is not either
        return FEWER_DECIMALS
    return DECIMALS


def decimals_of(row: Mapping[str, Any], name: str) -> int:
    """How many decimals a statistic of a row has, and what goes with it that has no interval of its own."""
    return decimals(row[f"{name}_low"], row[f"{name}_high"])


def interval(low: float | None, high: float | None, sign: str = "") -> str:
    """`[low, high]`, or nothing where a bound is missing."""
    if not (is_defined(low) and is_defined(high)):
        return ""
    places = decimals(low, high)
    return f"[{fixed(low, places, sign)}, {fixed(high, places, sign)}]"


def with_interval(row: Mapping[str, Any], name: str, sign: str = "") -> str:
    """A statistic of a row, and its interval where it has one: `0.423 [0.381, 0.462]`, or "undefined"."""
    if not is_defined(row[name]):
        return UNDEFINED
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{fixed(row[name], decimals(low, high), sign)} {interval(low, high, sign)}".rstrip()


def signed(row: Mapping[str, Any], name: str) -> str:
    """A difference or slope of a row and its interval, with signs: `+0.042 [-0.003, +0.087]`, or "undefined"."""
    return with_interval(row, name, sign="+")


def p_value(p: float | None) -> str:
    """Two digits of a p-value, a bound where it is tiny, or nothing where there is none."""
    if p is None or not math.isfinite(p):
        return ""
    return "< .0001" if p < 1e-4 else f"{p:.2g}"


def p_equals(p: float | None) -> str:
    """A p-value in a sentence: `p = 0.02`, or `p < .0001`."""
    text = p_value(p)
    return f"p {text}" if text.startswith("<") else f"p = {text or UNDEFINED}"


def is_significant(p: float | None) -> bool:
    """Whether a corrected p-value is below ALPHA."""
    return p is not None and p < ALPHA


def percent(share: float) -> str:
    """A share as a percentage: `95 %`."""
    return f"{100 * share:g} %"


def whole_percent(share: float) -> str:
    """A measured share without decimals: `95 %`, and `over 99 %` for what would round to all though it is not."""
    return "over 99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"


def share_span(shares: Iterable[float]) -> str:
    """The range of some measured shares, `51 to 95 %`, or the one that they all round to."""
    shares = list(shares)
    low, high = whole_percent(min(shares)), whole_percent(max(shares))
    return low if low == high else f"{low.removesuffix(' %')} to {high}"


def span(values: Iterable[float]) -> str:
    """The range of some sizes with two digits: `0.042 to 0.14`, or the one that they all round to."""
    texts = [significant(value) for value in values if is_defined(value)]
    low, high = min(texts, key=float), max(texts, key=float)
    return low if low == high else f"{low} to {high}"


def significant(value: float | None, digits: int = 2) -> str:
    """A number with so many significant digits, without an exponent: `0.021`, `57`, `1,300`; nothing for none."""
    if not is_defined(value):
        return ""
    rounded = float(f"{value:.{digits}g}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded)))) if rounded else 0
    return f"{rounded:,.{decimals}f}"


def few_components(effective: float | None) -> str:
    """A warning where a split has few effective components, nothing where it has enough."""
    if effective is None:
        return ""
    if effective < FEWEST:
        return (
            f"**No intervals and no p-values: the pairs count as {effective:.1f} components, and at least {FEWEST} are "
            "needed.**"
        )
    if effective < FEW:
        return (
            f"**Few components: the pairs count as {effective:.0f}. Below {FEW}, intervals are too narrow and "
            "about one in ten tests finds a difference where there is none.**"
        )
    return ""
