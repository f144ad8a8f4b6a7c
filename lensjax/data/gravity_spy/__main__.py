"""Old name of `python -m lensjax.data.gravity_spy.training_set`; until 0.2."""

import importlib
import warnings

if __name__ == "__main__":
    message = "`python -m lensjax.data.gravity_spy` is now `… lensjax.data.gravity_spy.training_set`."
    warnings.warn(message, DeprecationWarning, stacklevel=1)
    importlib.import_module("lensjax.data.gravity_spy.training_set").run()
