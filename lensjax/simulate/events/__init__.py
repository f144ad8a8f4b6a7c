"""Gravity Spy glitches and chirps in whitened strain, with their truth. Read in this order:

glitches.py          the entrance: one event by its class, or the examples of a data set
glitch_classes.py    a recipe a class, and how many events of each
line_glitches.py     recipes that follow a frequency; chirps.py: mergers
signals.py           the shapes that recipes are made of
detector.py          the block of strain and the design sensitivity

`lensjax.spectrogram` makes the time-frequency windows.
"""
