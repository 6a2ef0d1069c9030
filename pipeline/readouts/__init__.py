"""What a dump reads of a network: its hidden layers, or something else that has a vector for each token and layer.

`readout` says what every readout has, `registry` lists them, `names` has their names without torch, for what only
checks settings. Each is a small module of its own: `plain` is contract C1's hidden layers, `token_prepending` runs the
blocks on a sentence behind a slot that holds the sentence's own state, `values` and `attention_output` read parts of
attention, which `projections` finds in a family's blocks, `state_echo` reads the sentence twice. `state` is what a dump
with `keep: state` reads: one state for a sentence instead of a vector for each token, so it has no name here.

To add one: a module here with one function (model, ids (B, T), wanted layers) -> a tensor (B, T, D') for each of them,
and a `Readout` of it; its entry in READOUTS and its name in NAMES; a row in tests/readouts/test_registry.py. The key of
a dump has the code of its own readout alone, so a new one makes no other dump anew (docs/howto/readouts.md).
"""
