"""A function over items, in this process or in many of a Ray cluster: results are the same, and in the order of the
items.

`names` has the names of params.yaml's `engine`, `engines` what they stand for; `local` and `on_ray` are the two of
them. Of Ray: `address` is where its cluster is, `dealing` says which item goes next, `workers` holds the actors and
`worker` is what runs in one. An engine belongs to the machine: it is in no key, in no stage's params, and decides no
byte of a result.
"""
