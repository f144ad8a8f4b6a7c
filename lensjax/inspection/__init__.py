"""Explain a trained network, from checkpoint to files. Read `explain_command` first: `main` calls the rest.

options: what the command asks · restore: a trained or published network, with its domain · targets: the
number that a map explains · default_methods: which methods, with which options · examples, strain_events: the
images · maps: predictions, maps and scores · fast_occlusion, as_layers: occlusion from changed patches alone
· ensemble: several seeds as one · dreams: images made from a network · result_files: CSV and NPZ · network:
`lensjax.load(run)` · benchmark/: all methods × all scores.
"""
