"""Show what the scratch store of the dumps holds, and remove what is named."""

from typing import Annotated

import typer

from pipeline.base import cli
from pipeline.dump import clean


def main(
    remove: Annotated[list[str] | None, typer.Option(help="a key to remove; may be given several times")] = None,
    everything: Annotated[bool, typer.Option("--all", help="remove all keys")] = False,
) -> None:
    """List the dumps in .drillcore/dumps and what was fetched from elsewhere; with --remove KEY or --all, remove them.

    What `dvc repro` has linked into data/ and into DVC's cache stays; a dump that is not finished starts anew.
    """
    for line in clean.tidied(remove or [], everything):
        print(line)


if __name__ == "__main__":
    cli.run(main)
