"""Configurations in files: found by name, read from Python or from a run's config.json, and compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from lensjax.config import DATA, Config, Data, Ramp
from lensjax.runtime.errors import UserError
from lensjax.specs import check_names, load_definition

T = TypeVar("T")


def load_config(path_or_name: str | Path) -> Config:
    """Run `get_config()` of a configuration file, or read the config.json of an earlier run.

    A bare name such as "lens_demo" stands for a configuration of the project (`find_config`).

    Raises:
      UserError: the file is missing, has no `get_config`, or returns something else than a Config.
    """
    path = find_config(path_or_name)
    if path.suffix == ".json":
        return config_from_dict(read_json(path))
    config = load_definition(path, "get_config", "`def get_config() -> Config`")()
    if not isinstance(config, Config):
        raise UserError(f"get_config() of '{path}' gave a {type(config).__name__}; return a lensjax.Config.")
    return config


load_config_file = load_config  # the name up to 0.1


def find_config(path_or_name: str | Path) -> Path:
    """Return a configuration's file: the path itself, else configs/NAME.py here, else that of the package.

    Raises:
      UserError: there is no such file; lists those beside it, or the names of the project's.
    """
    path = Path(path_or_name)
    if path.is_file():
        return path
    if path.suffix or path.name != str(path_or_name):
        known = ", ".join(sorted(str(p) for p in path.parent.glob("*.py"))) or "none there"
        raise UserError(f"configuration file '{path}' does not exist; files beside it: {known}.")
    folders = config_folders()
    for folder in folders:
        if (folder / f"{path}.py").is_file():
            return folder / f"{path}.py"
    files = [file for folder in folders for file in folder.glob("*.py")]
    names = sorted({file.stem for file in files if "def get_config" in file.read_text()})
    raise UserError(f"unknown configuration '{path}': give a file, or one of {', '.join(names)}.")


def config_folders() -> list[Path]:
    """Return where configurations are looked for by name: the working folder, the package, its checkout."""
    package = Path(str(resources.files("lensjax")))
    return [Path("configs"), package / "configs", package.parent / "configs"]


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
      UserError: it holds something else.
    """
    try:
        values = json.loads(path.read_text())
    except ValueError as error:  # no JSON, or no text
        raise UserError(f"'{path}' is damaged ({error}); train again in a new workdir.") from None
    if not isinstance(values, dict):
        raise UserError(f"'{path}' is no configuration of a run: it holds a {type(values).__name__}.")
    return values


def config_from_dict(values: Mapping[str, Any], cls: type[T] = Config, where: str = "config") -> T:  # type: ignore[assignment]
    """Rebuild a configuration from the JSON of an earlier run; fields added since take their defaults.

    Raises:
      UserError: a field is unknown, so the run was made by another version.
    """
    if not isinstance(values, Mapping):
        raise UserError(f"{where} (={values!r}) must be an object of fields, as train.py writes it.")
    check_names("field", values, [f.name for f in fields(cls)], of=where)  # type: ignore[arg-type]
    hints = get_type_hints(cls)
    return cls(**{name: _convert(hints[name], value, f"{where}.{name}") for name, value in values.items()})


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Give a JSON value the type of its field: a dataclass, a schedule of a loss's weight, a tuple."""
    if hint == Data:
        kind = value.get("name") if isinstance(value, dict) else None
        check_names("data", [str(kind)], DATA, of=where)
        return config_from_dict(value, DATA[str(kind)], where)
    if is_dataclass(hint):
        return config_from_dict(value, hint, where)  # type: ignore[arg-type]
    if hint == dict[str, float | Ramp]:
        return {name: Ramp(**w) if isinstance(w, dict) else w for name, w in value.items()}
    return tuple(value) if isinstance(value, list) else value


def changes(before: dict[str, Any], after: dict[str, Any], where: str = "") -> list[str]:
    """List what differs between two configurations as JSON, one line a field."""
    lines = []
    for name in sorted(set(before) | set(after)):
        old, new = before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            lines += changes(old, new, f"{where}{name}.")
        elif old != new:
            lines.append(f"{where}{name}: {old} → {new}")
    return lines
