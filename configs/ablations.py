"""The former home of the edits in configs/variants.py, kept for commands that name this file."""

from lensjax.config_io import find_config
from lensjax.specs import load_definition

GROUPS = load_definition(find_config("variants"), "GROUPS", "")
ABLATIONS = GROUPS["events_talk"]
