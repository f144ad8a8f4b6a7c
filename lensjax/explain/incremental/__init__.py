"""Compute occlusion from the changed patches alone. Read in this order.

incremental     the map; which cells each window changes
local_layers    a network described layer by layer
"""
