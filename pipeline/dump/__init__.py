"""Run a network once over all sentences and keep what it computes: the only stage that runs a model.

`run` has the flow: `plan` says which sentences share a forward pass, a record batch and a shard, and `work` what that
will write; `passes` runs them into memory of the `host`; `keep` says what is kept of a sentence; `writer` writes
`shards` behind the computation. A dump is built in `scratch`, in a folder named by its `key` (contract C6), and
hard-linked to where it is read when it is complete. So a run that was stopped (`signals`), killed or out of disk
(`space`) goes on where it was. `checks` and `gate`, the language-model check, look at tokens and model before it;
`clean` shows and clears what `scratch` holds.
"""
