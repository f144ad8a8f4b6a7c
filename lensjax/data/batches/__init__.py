"""Make batches of a data set, and augment or transform their images.

Read in this order: `pipeline` (batches by grain), `augment` (augmentations of one example),
`batch_augment` (the usual ones by the batch), `region_fills` (fill or edit a region), `input_transforms`
(`data.inputs`).
"""
