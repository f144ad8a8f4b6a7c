"""Prepare the machine for every command; this package does not depend on data or networks.

- `command_line`: how a command reads its options and ends; `errors`: what the user can mend
- `logs`: messages and progress; `records`: JSON on disk that survives kills; `environment`: versions, devices
- `jax_setup`: compiler flags and cache; `parallel`: the mesh of devices
"""
