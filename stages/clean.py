"""Show what the scratch store of the dumps holds, and remove what is named."""

from datetime import datetime
from typing import Annotated

import typer

from pipeline import cli, scratch


def main(
    remove: Annotated[list[str] | None, typer.Option(help="a key to remove; may be given several times")] = None,
    everything: Annotated[bool, typer.Option("--all", help="remove all keys")] = False,
):
    """List the dumps in .drillcore/dumps; with --remove KEY or --all, remove them. What `dvc repro` has linked into data/ and into
    DVC's cache stays; a dump that is not finished starts anew."""
    rows = scratch.contents()
    known = [row["key"] for row in rows]
    if unknown := [key for key in remove or [] if key not in known]:
        raise ValueError(f"{scratch.STORE} has no {', '.join(unknown)}: it has {', '.join(known) or 'nothing'}")
    for row in rows:
        when = datetime.fromtimestamp(row["used"]).isoformat(" ", "minutes")
        print(f"{row['key']}  {row['shards']:4d} shards  {row['bytes'] / 1e6:10.1f} MB, {row['shared'] / 1e6:.1f} of them linked elsewhere  {when}")
    total, shared = (sum(row[name] for row in rows) / 1e6 for name in ("bytes", "shared"))
    print(f"{scratch.STORE}: {len(rows)} dumps, {total:.1f} MB; without them the disk has {total - shared:.1f} MB more")
    for key in known if everything else remove or []:
        scratch.clear(key)
        print(f"removed {key}")


if __name__ == "__main__":
    cli.run(main)
