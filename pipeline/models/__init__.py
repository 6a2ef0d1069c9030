"""A catalogue entry -> a network, and what a layer of it is.

`weights` finds the files and says what determines them, `load` makes the network of them, `layers` reads every hidden
layer of any network in one pass (contract C1). `spread` lays a network over several GPUs, memory of the host and the
disk, and `devices` says where it computes then. Code that comes with a model is never run.

RWKV-4 to 7 are ours: `rwkv4` to `rwkv7` have the transformers classes, and of the last two `_blocks` the equations,
`_recurrence` the recurrence, `_config` the sizes. What all share is in `rwkv_model` (classes, states) and `rwkv_parts`
(blocks, norms). `checkpoints` reads files of weights, and `generations` tells which RWKV BlinkDL's are.
"""
