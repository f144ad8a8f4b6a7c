"""Write data sets to disk once, and read them.

Read in this order: `dataset_specs` (what is in each data set), `writer` (make one, by TFDS), `checksums`
(whole or refused), `records` (read a folder, by array_record alone), `datasets` (prepare and load by
configuration).
"""
