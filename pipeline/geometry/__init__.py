"""The shape of the states of each layer: how they spread, bend and change with depth, and how that goes with rho.

A measure is a function and what there is to say of it (`measure.Measure`), in one of the registries `sentences`,
`tokens` and `between`.
"""
