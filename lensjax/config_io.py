"""Configurations in files: read from Python or from an earlier run's config.json, and compared."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from lensjax.config import DATA, Config, Data
from lensjax.runtime.errors import UserError
from lensjax.specs import defined_in

T = TypeVar("T")


def load_config_file(path: str | Path) -> Config:
    """Run `get_config()` of a configuration file, or read the config.json of an earlier run.

    Raises:
      UserError: the file is missing, has no `get_config`, or returns something else than a Config.
    """
    path = Path(path)
    if not path.is_file():
        known = ", ".join(sorted(str(p) for p in path.parent.glob("*.py"))) or "none there"
        raise UserError(f"configuration file '{path}' does not exist; files beside it: {known}.")
    if path.suffix == ".json":
        try:
            return config_from_dict(json.loads(path.read_text()))
        except (json.JSONDecodeError, UnicodeDecodeError, AttributeError, TypeError) as error:
            raise UserError(f"'{path}' is no configuration of a run ({error}).") from None
    config = defined_in(path, "get_config", "`def get_config() -> Config`")()
    if not isinstance(config, Config):
        raise UserError(f"get_config() of '{path}' gave a {type(config).__name__}; return a lensjax.Config.")
    return config


def config_from_dict(values: dict[str, Any], cls: type[T] = Config, where: str = "config") -> T:  # type: ignore[assignment]
    """Rebuild a configuration from the JSON of an earlier run; fields added since take their defaults.

    Raises:
      UserError: a field is unknown, so the run was made by another version.
    """
    hints = get_type_hints(cls)
    known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise UserError(
            f"{where} has the unknown field {', '.join(unknown)}; known: {', '.join(sorted(known))}."
        )

    def convert(name: str, value: Any) -> Any:
        if hints[name] == Data:
            kind = value.get("name") if isinstance(value, dict) else None
            if kind not in DATA:
                raise UserError(f"{where}.data.name is '{kind}'; choose from {', '.join(DATA)}.")
            return config_from_dict(value, DATA[kind], f"{where}.{name}")
        if is_dataclass(hints[name]):
            return config_from_dict(value, hints[name], f"{where}.{name}")  # type: ignore[arg-type]
        return tuple(value) if isinstance(value, list) else value

    return cls(**{name: convert(name, value) for name, value in values.items()})


def changes(before: dict[str, Any], after: dict[str, Any], where: str = "") -> list[str]:
    """What differs between two configurations as JSON, one line a field."""
    lines = []
    for name in sorted(set(before) | set(after)):
        old, new = before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            lines += changes(old, new, f"{where}{name}.")
        elif old != new:
            lines.append(f"{where}{name}: {old} → {new}")
    return lines
