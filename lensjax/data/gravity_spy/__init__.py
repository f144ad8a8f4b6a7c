"""Pictures of events as Gravity Spy makes them.

Read in this order: `training_set` (the official set as examples), `event_index` (pictures → events),
`list_files` (folders and archives), `trigger_table` (its metadata), `spectrograms` (a picture → energy),
`event_files` (a user's own pictures).
"""
