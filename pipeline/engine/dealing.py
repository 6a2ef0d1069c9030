"""Which item goes next, and which result: items may be given back, results come in the order of the items."""

import heapq
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Deal(Generic[Item, Result]):
    """Items that are dealt out in order, at most `ahead` of them before the first whose result is not there."""

    def __init__(self, items: Iterable[Item], ahead: int) -> None:
        self.fresh, self.ahead = enumerate(items), ahead
        self.held: dict[int, Item] = {}
        """dealt out or given back, without a result: number -> item"""
        self.returned: list[int] = []
        """a heap of the numbers that were given back"""
        self.results: dict[int, Result] = {}
        self.first = 0
        """the number of the next result"""
        self.ended = False

    def take(self) -> int | None:
        """The number of the next item; None where there is none, or none may go yet."""
        if self.returned:
            return heapq.heappop(self.returned)
        if self.ended or len(self.held) + len(self.results) >= self.ahead:
            return None
        number, item = next(self.fresh, (None, None))
        if number is None:
            self.ended = True
            return None
        self.held[number] = item  # type: ignore[assignment]
        return number

    def give_back(self, number: int) -> None:
        """Let an item go before all that were not dealt out yet."""
        heapq.heappush(self.returned, number)

    def finish(self, number: int, result: Result) -> None:
        """Note the result of an item."""
        del self.held[number]
        self.results[number] = result

    def in_order(self) -> Iterator[Result]:
        """The results that nothing earlier is missing before."""
        while self.first in self.results:
            self.first += 1
            yield self.results.pop(self.first - 1)

    @property
    def over(self) -> bool:
        """Whether every item has a result, and every result was taken."""
        return self.ended and not self.held and not self.results
