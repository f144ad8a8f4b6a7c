"""Old name of `lensjax simulate lenses`; until 0.2."""

import importlib
import warnings

if __name__ == "__main__":
    message = "`python -m lensjax.simulate` is now `lensjax simulate lenses`; it goes with 0.2."
    warnings.warn(message, DeprecationWarning, stacklevel=1)
    importlib.import_module("lensjax.studies.lenses.gallery").run()
