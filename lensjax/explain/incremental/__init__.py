"""Compute occlusion from the changed patches alone. Read in this order.

incremental     the map
local_layers    a network described layer by layer
plan            which cells each window changes
"""
