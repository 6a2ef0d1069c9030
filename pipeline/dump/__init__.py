"""Run a network once over all sentences and keep what it computes: the only stage that runs a model.

`run` has the flow: it deals shards out, to this worker and to any number of others (`ranks`), and `publish` puts them
where they are read once all are there. `make` makes the bytes of one shard: `plan` says which sentences share a forward
pass, a record batch and a shard, and `work` what that will write; `passes` runs them into memory of the `host`; `keep`
says what is kept of a sentence; `writer` writes `shards` behind the computation. Shards lie in a `storage` named by
their `key` (contract C6). So a run that was stopped (`signals`), killed or out of disk goes on where it was. `network`
loads a network where the workers are; `checks` and `gate`, the language-model check, look at tokens and model before
it; `clean` shows and clears what the store holds.
"""
