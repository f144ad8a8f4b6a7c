"""The command `lensjax`: find the module of a sub-command, import that alone, and run it.

    lensjax train lens_demo --workdir runs/demo
    lensjax explain runs/demo --inputs cutout.fits

`train` and `explain` are the same code as the scripts train.py and explain.py.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from lensjax import __version__

DEBUG = "--debug"
HELP = ("-h", "--help")
USAGE = """usage: lensjax COMMAND [options]

commands:
  train CONFIG      train a network from a configuration: a file, or a name such as lens_demo
  explain RUN       explain a trained network on held-out or on your own images
  benchmark RUN     score every explanation method on a trained network
  simulate KIND     draw simulated scenes of every kind: lenses or events
  study NAME        answer one question about trained networks; `lensjax study` lists the names

examples:
  lensjax train lens_demo --workdir runs/demo
  lensjax explain runs/demo --inputs cutout.fits --out runs/demo/real
  lensjax benchmark runs/demo --benchmark-examples 24
  lensjax simulate lenses --instrument euclid --out scenes.png
  lensjax COMMAND --help

options:
  --version         print the version
  --debug           after a command: show the traceback of an error
"""
SIMULATIONS = {kind: f"lensjax.studies.{kind}.gallery" for kind in ("lenses", "events")}
COMMANDS = ("train", "explain", "benchmark", "simulate", "study")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the sub-command that `arguments` name, the words of the process where None.

    Raises:
      SystemExit: status 2 for an unknown command; else as the sub-command ends.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == [DEBUG]:
        words = [*words[1:], DEBUG]
    command, *rest = words or ["--help"]
    if command in HELP:
        print(USAGE, end="")
    elif command == "--version":
        print(f"lensjax {__version__}")
    elif command == "train":
        from lensjax.studies.variants_table import write_table
        from lensjax.training import train_command

        train_command.run(rest, write_table=write_table)
    elif command == "explain":
        run_module("lensjax.inspection.explain_command", rest)
    elif command == "benchmark":
        words = rest if set(HELP) & set(rest) else [*rest, "--benchmark"]
        run_module("lensjax.inspection.explain_command", words)
    elif command == "simulate":
        run_named("simulate", SIMULATIONS, rest)
    elif command == "study":
        from lensjax.studies import STUDIES

        run_named("study", STUDIES, rest)
    else:
        refuse_name("command", command, COMMANDS)


def run_named(command: str, modules: dict[str, str], words: Sequence[str]) -> None:
    """Run the module that the word after `command` names, or list all of them with what they do."""
    if not words or words[0] in HELP:
        width = max(map(len, modules)) + 2
        print(f"usage: lensjax {command} NAME [options]; `lensjax {command} NAME --help` shows the options\n")
        for name, module in modules.items():
            print(f"  {name:{width}}{first_line(module)}")
    elif words[0] in modules:
        run_module(modules[words[0]], words[1:])
    else:
        refuse_name(f"name after '{command}'", words[0], modules)


def run_module(module: str, words: Sequence[str]) -> None:
    """Import the module of a command and call its `run`."""
    importlib.import_module(module).run(list(words))


def refuse_name(what: str, name: str, choices: Collection[str]) -> None:
    """End the process with status 2 and one line: the nearest choice, and all of them."""
    near = difflib.get_close_matches(name, choices, 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    print(f"error: unknown {what}: '{name}'.{hint} Choose from {', '.join(choices)}.", file=sys.stderr)
    sys.exit(2)


def first_line(module: str) -> str:
    """Return the first line of a module's docstring; the module is read but not run."""
    path = Path(__file__).parent.joinpath(*module.split(".")[1:]).with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


if __name__ == "__main__":
    main()
