"""spectrogram: see the docstring of each file."""
