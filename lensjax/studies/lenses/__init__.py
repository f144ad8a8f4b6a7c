"""Studies of lens finders, one file each.

`gallery` draws what is simulated. Of networks trained on simulations: `seed_spread` (metrics and maps over
seeds), `position_designs` (four ways to say where), `disagreement_flags` (does "where" reveal a wrong
"what"?). What is found and what is missed, with what they share in `recall`: `selection_function`,
`rare_lenses`, `isolated_galaxies`. Real lenses, whose images `real_images` reads: `real_lenses`,
`real_variants`, `real_positions`; `ring_profiles` holds a map's energy against the Einstein radius.
"""
