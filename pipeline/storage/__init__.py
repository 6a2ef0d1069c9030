"""Where large results lie while they are made: a place for each key, which any number of workers fill together.

A `Store` (`contract`) holds the shards of one key. A worker claims a shard, writes it under a temporary name, and
publishes it with its receipt; nothing partial is ever visible. `folder` does so on a disk that all workers see, with
`locks` that end with their process; `bucket` below a URL (`remote`), with `leases` that end when they are not renewed.
`places` says which store a key has on this machine. What lies below a URL is `fetched` when it is read; `pointers` move
a single file there. Nothing here decides a byte, so none of it is in a key (contract C6).
"""
