"""Draw results: a self-contained page (`page/`) and figures for papers (`figures/`).

Read `entry` first, the explained example that both take; then `names` (labels of methods and scores),
`pixels` (arrays to colours), `event_windows` (axes and energy of events), `score_table` (methods beside
trivial maps) and `benchmark` (the benchmark of explanations as files).
"""
