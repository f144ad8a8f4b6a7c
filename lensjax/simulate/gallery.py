"""Old name of `lensjax simulate events`; until 0.2."""

import importlib
import warnings

if __name__ == "__main__":
    message = "`python -m lensjax.simulate.gallery` is now `lensjax simulate events`; it goes with 0.2."
    warnings.warn(message, DeprecationWarning, stacklevel=1)
    importlib.import_module("lensjax.studies.events.gallery").run()
