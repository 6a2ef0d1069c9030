"""A catalogue entry -> a network, and what a layer of it is.

`weights` finds the files and says what determines them, `load` makes the network of them, `layers` reads every hidden
layer of any network in one pass (contract C1). RWKV-6 is ours: `rwkv6` has the transformers classes, `rwkv6_blocks` the
equations, `rwkv6_recurrence` the recurrence, `rwkv6_config` the sizes, and `checkpoints` reads BlinkDL's files. Code
that comes with a model is never run.
"""
