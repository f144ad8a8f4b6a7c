"""What every command needs from the machine; knows nothing of data and networks.

- `command_line`: how a command reads its options and ends; `errors`: what the user can mend
- `logs`: messages and progress; `records`: JSON on disk that survives kills; `environment`: versions, devices
- `jax_setup`: compiler flags and cache; `parallel`: the mesh of devices
"""
