"""Read files and simulations, and turn them into batches.

Read in this order: `store` (data sets on disk), `batches` (batches, augmentations, transformed inputs),
`images` (a user's cutouts of the sky), `surveys` (folders of real lenses and galaxies), `gravity_spy`
(pictures of events), `strain` (strain of a detector).
"""
