"""Explain a trained network: restore, read images, predict, explain, score, report.

    python explain.py runs/demo                                      simulations, scored against the truth
    python explain.py runs/demo --inputs cutout.fits --out runs/demo/real   your own images
    python explain.py runs/demo --benchmark                          every method × every score
    python explain.py --help                                         all options

The same as `lensjax explain`. The steps, from top to bottom, are in `explain_command.main`.
"""

from lensjax.inspection.explain_command import run

if __name__ == "__main__":
    run()
