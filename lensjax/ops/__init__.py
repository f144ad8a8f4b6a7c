"""Operations on arrays that several packages share; they do not depend on networks or data.

conv              convolution and pooling as XLA runs them fast
map_statistics    ranks, sparseness, roughness, centre and precision of a map
bootstrap         percentile intervals, in NumPy
"""
