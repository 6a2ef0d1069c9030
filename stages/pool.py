"""Token states -> sentence vectors of one model at every layer (contract C4)."""

from pipeline import cli, params, pooling
from pipeline.cli import In, Name, Out


def main(model: Name, states: In, out: Out):
    """Pool the shards in STATES by params.yaml's `pooling`; write the vectors to OUT (Parquet)."""
    name = params.study().pooling
    pooling.pool(states, name, out, {"encoder": model, "pooling": name, "layers": True})


if __name__ == "__main__":
    cli.run(main)
