#!/usr/bin/env bash
# How data/demo/model and data/demo/vectors.txt.gz were made: data/demo/README.md says of what text. Run it from the
# project's folder; the second command takes hours on one CPU thread and goes on where it was stopped.
set -euo pipefail

build=data/demo/build

python -m pipeline.demo.make_corpus \
  --documents $build/documents.parquet --tokenizer $build/tokenizer --info $build/corpus.json

python -m pipeline.demo.make_model \
  --documents $build/documents.parquet --tokenizer $build/tokenizer --info $build/corpus.json \
  --out $build/model --losses $build/losses.csv --metrics $build/metrics.json --curve $build/losses.png

python -m pipeline.demo.make_vectors --documents $build/documents.parquet --out $build/vectors.txt.gz

echo "To ship them: cp $build/vectors.txt.gz data/demo/ && cp $build/model/* data/demo/model/"
