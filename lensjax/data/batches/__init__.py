"""Batches of a data set, and what is done to images on the way.

Read in this order: `pipeline` (batches by grain), `augment` (augmentations of one example),
`batch_augment` (the usual ones by the batch), `region_fills` (fill or edit a region), `input_transforms`
(`data.inputs`).
"""
