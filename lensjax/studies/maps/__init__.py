"""Studies of explanations, of lens finders and of events, one file each.

`benchmark_over_seeds` (which map to trust), `compare_variants` (maps of an ablation's networks), `shortcuts`
(what else than the evidence is used; `swaps` makes its images), `edits` (from mistakes to an edit of all
inputs).
"""
