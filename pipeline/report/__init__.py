"""Tables -> pages and pictures. This room computes nothing, and it is the only place that rounds.

`page` is results/report.md and `layers_picture` its picture; so are `poolings` and `poolings_picture` of
results/poolings.md, `probes` and `probes_picture` of results/probes.md. `claims` is results/claims.md. Each section of
a page is a function that gives lines of Markdown. What comes from data (sentences, names, splits) goes through
`markdown.escaped`, every figure through `numbers`.
"""
