"""params.yaml and catalog.yaml -> nothing wrong in them; and the code that each stage runs, as hashes.

DVC runs it first whenever a setting or a line of code has changed, and every other stage depends on its own file of
hashes, so that code that changed can never be taken for code that did not.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.base import cli, code, files, settings
from pipeline.check import stale, study

NO_STAGES = ("__init__", "check", "clean", "datasets")
STAGES = sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem not in NO_STAGES)


def main(out: Annotated[Path | None, typer.Option(help="folder of hashes; left out: only check")] = None) -> None:
    """Check params.yaml and catalog.yaml, and write what decides each stage's results to the folder OUT."""
    if problems := study.problems():
        for line in problems:
            print("error:", cli.printable(line), file=sys.stderr)
        sys.exit(1)
    if out is None:
        return
    with code.remembering(".drillcore/code.json"):
        for name in STAGES:
            files.write_json(out / f"{name}.json", code.fingerprints(f"stages.{name}"))
    if removed := stale.put_away(settings.study()):
        print(stale.summary(removed), file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
