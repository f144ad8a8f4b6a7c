"""Data sets on disk, each made once and then read.

Read in this order: `dataset_specs` (what is in each data set), `writer` (make one, by TFDS), `checksums`
(whole or refused), `records` (read a folder, by array_record alone), `datasets` (prepare and load by
configuration).
"""
