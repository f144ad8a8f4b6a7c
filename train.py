"""Train a network: configuration, data, states, loop, test.

    python train.py configs/lens_demo.py --workdir runs/demo [--optim.learning-rate 1e-3 --model.hidden 32 …]
    python train.py configs/lens_demo.py --help

From top to bottom:

- options and machine: `lensjax/training/train_command.py`
- configuration checked, data, initial states, compiled steps: `prepare` in `lensjax/training/loop.py`
- the loop (steps of an epoch, validation, early stopping, checkpoint) and the test: `run_loop` there
- the step itself, objective and gradient: `lensjax/training/state.py`
- several seeds at once: `lensjax/training/seed_stack.py`; variants: `lensjax/training/variants.py`

`lensjax train` of the installed package is the same.
"""

from __future__ import annotations

from lensjax.studies.variants_table import write_table
from lensjax.training.train_command import run

if __name__ == "__main__":
    run(write_table=write_table)
