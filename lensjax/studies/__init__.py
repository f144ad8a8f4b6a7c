"""Questions a scientist asks of trained networks, each a command: `python -m lensjax.studies.NAME --help`."""
