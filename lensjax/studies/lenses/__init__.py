"""Studies of lens finders, one file each.

`gallery` draws simulated scenes. Networks trained on simulations: `seed_spread` (metrics and maps over
seeds), `position_designs` (four ways to predict the position), `disagreement_flags` (whether the position
reveals a wrong class). Recall, with shared code in `recall`: `selection_function`, `rare_lenses`,
`isolated_galaxies`. Real lenses, whose images `real_images` reads: `real_lenses`, `real_variants`,
`real_positions`; `ring_profiles` compares a map's energy with the Einstein radius.
"""
