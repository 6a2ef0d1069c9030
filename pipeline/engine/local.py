"""The engine `local`: one item after the other, in this process."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import TypeVar

from pipeline.base.progress import bar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Local:
    """Everything in this process; the methods are those of `engines.Engine`."""

    def each(
        self,
        start: Callable[[], Callable[[Item], Result]],
        items: Iterable[Item],
        what: str,
        unit: str = "it",
        sizes: Sequence[int] | None = None,
        network: bool = False,
    ) -> Iterator[Result]:
        """The results, one by one."""
        work = start()
        with bar(items, what, unit, sizes) as shown:
            for item, size in zip(items, chain(sizes or (), repeat(1))):
                yield work(item)
                shown.update(size)

    def once(self, function: Callable[[], Result], network: bool = False) -> Result:
        """The result."""
        return function()


LOCAL = Local()
