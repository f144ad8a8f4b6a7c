"""The former home of the edits in configs/variants.py, kept for commands that name this file."""

from lensjax.config_io import find_config
from lensjax.specs import defined_in

GROUPS = defined_in(find_config("variants"), "GROUPS", "")
ABLATIONS = GROUPS["events_talk"]
