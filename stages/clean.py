"""Show what the scratch store of the dumps holds, and remove what is named."""

from typing import Annotated

import typer

from pipeline.base import cli
from pipeline.base.errors import one_of
from pipeline.dump import clean
from pipeline.dump.scratch import STORE


def main(
    remove: Annotated[list[str] | None, typer.Option(help="a key to remove; may be given several times")] = None,
    everything: Annotated[bool, typer.Option("--all", help="remove all keys")] = False,
) -> None:
    """List the dumps in .drillcore/dumps; with --remove KEY or --all, remove them.

    What `dvc repro` has linked into data/ and into DVC's cache stays; a dump that is not finished starts anew.
    """
    dumps = clean.contents()
    keys = [dump.key for dump in dumps]
    for key in remove or []:
        one_of(key, keys, f"a key to remove from {STORE}")
    for dump in dumps:
        print(dump)
    print(f"{STORE}: {len(dumps)} dumps, {clean.summary(dumps)}")
    for key in keys if everything else remove or []:
        clean.clear(key)
        print(f"removed {key}")


if __name__ == "__main__":
    cli.run(main)
