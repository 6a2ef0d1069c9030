"""How the squared norm of a sentence's states is spread over its positions: facts for report.md.

`pool` measures them and writes them into the footer of its vectors (C4), and `score` into that of its scores (C5).
"""

from dataclasses import dataclass

POSITIONS = ("first", "last", "other")


@dataclass(frozen=True)
class Norms:
    """Of the states of one model; every number is a mean over the sentences."""

    layers: list[int]
    """those that the pooling uses"""
    share: list[float]
    """at each layer: max_t |h_t|^2 / sum_t |h_t|^2, what one position holds of the squared norm of all states"""
    even: float
    """1 / T: that share if all positions were equal"""
    largest: dict[str, list[float]]
    """first, last and other -> at each layer: in which part of the sentences such a position holds most"""
    every_position: bool
    """False where the dump kept statistics: the first and the last alone were looked at, and others may hold more"""
    averaged: list[str]
    """which of first, last and other the pooling averages, whatever they hold; none for `last`, or learned attention"""
