"""Forward the old name of configs/variants.py, for commands that still use it."""

from lensjax.config_io import find_config
from lensjax.specs import load_definition

GROUPS = load_definition(find_config("variants"), "GROUPS", "")
ABLATIONS = GROUPS["events_talk"]
