"""What an engine does, and the engine that a name stands for."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from pipeline.engine.local import LOCAL
from pipeline.engine.names import chosen

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(Protocol):
    """Where a function runs over items."""

    def each(
        self,
        start: Callable[[], Callable[[Item], Any]],
        items: Iterable[Item],
        what: str,
        unit: str = "it",
        sizes: Sequence[int] | None = None,
        network: bool = False,
    ) -> Iterator[Any]:
        """The results of a function, in the order of the items, which are taken as they are needed.

        start: can be pickled, and makes the function once in each worker. The function gives a result, or a Future of
        one: then the next item begins before the result is there. what, unit and the sizes of the items, in units, are
        for the bar, which is not shown without a unit; network: whether the function runs one, which a GPU does faster.

        An InputError of the function is raised as it is. The number of results that wait for an earlier one is bounded.
        """
        ...

    def once(self, function: Callable[[], Result], network: bool = False) -> Result:
        """The result of a function where the workers run."""
        ...


def ray() -> Engine:
    """Ray, which takes a while to import."""
    from pipeline.engine.on_ray import RAY

    return RAY


ENGINES: dict[str, Callable[[], Engine]] = {"local": lambda: LOCAL, "ray": ray}
"""the names of `names.ENGINES`"""


def engine_of(setting: str) -> Engine:
    """The engine that params.yaml or the environment names. InputError where there is none of that name here."""
    return ENGINES[chosen(setting)]()
