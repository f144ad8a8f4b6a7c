"""Train networks. Read in this order.

- `train_command`: the options, and which of one seed, several seeds or variants is trained
- `loop`: data, states, epochs, validation, checkpoints, test, of one seed or of several at once
- `state`: what a run remembers, and the step; `optim`: optimiser and schedule; `seed_stack`: several seeds
- `check_config`: refuses what would fail later
- `checkpoint`: save, restore, stop; `restore_run`: a saved run's configuration and parameters
- `run_folder`: files and lines of a run; `run_log`: metrics.jsonl and TensorBoard
- `variants`: edits of a configuration, compared; `subprocesses`: runs in processes of their own, for studies
"""
