"""`lensjax explain RUN --benchmark`: every method × every score for a trained network, and what each costs.

table: maps, costs, sensitivity and randomised networks · scores: against the truth, and by removal · write:
files and page.
"""
