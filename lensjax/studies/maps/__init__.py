"""Studies of explanations, of lens finders and of events, one file each.

`benchmark_over_seeds` (which map to trust), `compare_variants` (maps of an ablation's networks), `shortcuts`
(features other than the evidence; `swaps` makes its images), `edits` (from mistakes to an edit of all
inputs).
"""
