"""What the library costs, each figure as a ratio to something that is measured in turns with it.

run          the command line, and the table of results
common       turns and medians, rows of the table
material     MRPC's lengths, models with random weights
models       tokens per second: speed, speed-large, budgets, long
dumps        what a dump adds to the model: dump, many
gpu          the same on a GPU
states       reading token states: pooling, sweep, geometry, verify
resampling   the bootstrap
memory       what each stage holds at 200,000 pairs
pairs        what prepare, baseline, score and correlate take of a million pairs
lengths      time and memory against the length of a sentence, beside a Transformer (scaling, lengths_picture)
pipeline     DVC and the stages in a clone of the project; only by its name, it takes minutes
workers      what workers through Ray cost and give; whether all ways of sharing a dump give the same bytes (flaky_s3)
scale        what a dump of more sentences takes, predicted and measured
waiting      how OpenMP's threads wait (threads.py); only by its name, it keeps every core busy
disturbed    no cost: a small study, for kills (the pipeline is killed again and again) and together (commands at once)
planted      no cost: what learned attention makes of states with a planted signal
"""

from pipeline.base.machine import configure_threads

configure_threads()  # before torch is imported, as the stages do
