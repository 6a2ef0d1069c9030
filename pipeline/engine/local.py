"""The engine `local`: one item after the other, in this process."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import chain, repeat
from typing import Any, TypeVar

from pipeline.base.progress import bar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Local:
    """Everything in this process; the methods are those of `engines.Engine`."""

    def each(
        self,
        start: Callable[[], Callable[[Item], Any]],
        items: Iterable[Item],
        what: str,
        unit: str = "it",
        sizes: Sequence[int] | None = None,
        network: bool = False,
    ) -> Iterator[Any]:
        """The results, one by one."""
        with bar(items, what, unit, sizes) as shown:
            for result, size in zip(in_turn(start(), items), chain(sizes or (), repeat(1))):
                shown.update(size)
                yield result

    def once(self, function: Callable[[], Result], network: bool = False) -> Result:
        """The result."""
        return function()


def in_turn(work: Callable[[Item], Any], items: Iterable[Item]) -> Iterator[Any]:
    """The result of each item. That of a Future is waited for once the next item has begun."""
    promised: Future | None = None
    for item in items:
        result = work(item)
        if promised is not None:
            yield promised.result()
        promised = result if isinstance(result, Future) else None
        if promised is None:
            yield result
    if promised is not None:
        yield promised.result()


LOCAL = Local()
