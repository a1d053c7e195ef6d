"""The command `fastnet`, also `python -m fastnet`.

Results go to standard output, progress and errors to standard error. Exit codes: 0 it worked, 1 it ran and
failed, 2 the command line was wrong, 130 it was interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from fastnet import isa, plot
from fastnet._version import __version__
from fastnet.cli import completion, models, predict, train
from fastnet.cli.parser import Parser, positive_float, positive_int, seed

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (by default the process's own) and return its exit code.

    Examples
    --------
    >>> from fastnet.cli import main
    >>> main(["demo", "--epochs", "2", "--json"])  # doctest: +SKIP
    """
    arguments = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning  # type: ignore[assignment]
        try:
            status = run(arguments)
            sys.stdout.flush()  # a full disk or a closed pipe may show only now
            return status
        except KeyboardInterrupt:
            print("fastnet: interrupted", file=sys.stderr)
            return 130
        except BrokenPipeError:
            message = "standard output was closed before all was written"
        except OSError as error:
            message = error.strerror or str(error)
            message += "" if error.filename is None else f": {os.fsdecode(error.filename)}"
        except (ValueError, ImportError, MemoryError) as error:
            message = " ".join(str(error).split()) or "not enough memory"
        print(f"fastnet: error: {message}", file=sys.stderr)
        _give_up_output()
        return 1


def _give_up_output() -> None:
    """Let what is left in the buffer of a standard output that fails go nowhere, at the end of Python too."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_warning(message: Warning | str, *_: Any) -> None:
    """Show a warning in one line, without the place in the source."""
    print(f"fastnet: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _parser() -> Parser:
    parser = Parser(prog="fastnet", description="Dense neural networks on the CPU.")
    parser.add_argument("--version", action="version", version=f"fastnet {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    train.add_command(commands)
    predict.add_command(commands)
    models.add_commands(commands)

    demo = commands.add_parser(
        "demo",
        help="train on real data and compare with NumPy",
        description="Train 30-100-1 on breast-cancer data, test on a held-out quarter, compare with NumPy.",
    )
    demo.add_argument(
        "--notes", action="store_true", help="show every quantity of the 2-3-1 network of the notes"
    )
    demo.add_argument("--dtype", choices=("float32", "float64"), default="float64", help="default: float64")
    demo.add_argument("--epochs", type=positive_int, metavar="N", help="default: 100")
    demo.add_argument("--batch-size", type=positive_int, metavar="N", help="default: 200, or 3 with --notes")
    demo.add_argument(
        "--learning-rate", type=positive_float, metavar="R", help="default: 0.2, or 0.5 with --notes"
    )
    demo.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="of split, weights and shuffle; default: 0"
    )
    demo.add_argument("--json", action="store_true", help="print one JSON object instead of the report")
    demo.add_argument("--plot", metavar="FILE", help="save the loss curve as a picture (needs matplotlib)")
    demo.set_defaults(run=_demo)

    builds = commands.add_parser(
        "isa", help="list the builds of the core: installed, usable on this CPU, in use"
    )
    builds.set_defaults(run=_isa)

    bench = commands.add_parser(
        "bench", help="measure the speed of the core on this machine, and its share of the peak"
    )
    bench.add_argument("--quick", action="store_true", help="measure for a shorter time, less exactly")
    bench.add_argument("--json", action="store_true", help="print one JSON object instead of the report")
    bench.add_argument(
        "--plot", metavar="FILE", help="save the training steps per second as a picture (needs matplotlib)"
    )
    bench.set_defaults(run=_bench)

    selftest = commands.add_parser(
        "selftest",
        help="check this installation: kernels, bits, threads, files",
        description="Check every build that this CPU runs. Paste the report into a bug report.",
    )
    selftest.set_defaults(run=_selftest)
    completion.add_command(commands)
    return parser


def _demo(arguments: argparse.Namespace) -> int:
    from fastnet import demo  # loads the data and the reference, which the other commands do not need

    # made before the training, so that a missing matplotlib is reported first
    figure = None if arguments.plot is None else plot.new_figure()
    settings = demo.NOTES if arguments.notes else demo.BREAST_CANCER
    names = ("epochs", "batch_size", "learning_rate", "seed", "dtype")
    chosen = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    work, layout = (demo.notes, demo.notes_report) if arguments.notes else (demo.breast_cancer, demo.report)
    results, history = work(replace(settings, **chosen), progress=not arguments.json)
    print(json.dumps(results) if arguments.json else layout(results))
    if figure is not None:
        plot.plot_history(history, ax=figure.subplots())
        figure.savefig(arguments.plot)
    return 0


def _bench(arguments: argparse.Namespace) -> int:
    from fastnet import bench

    figure = None if arguments.plot is None else plot.new_figure((8, 5))
    bench.pin(None)
    results = bench.run(quick=arguments.quick, progress=lambda line: print(line, file=sys.stderr))
    print(json.dumps(results) if arguments.json else bench.report(results))
    if figure is not None:
        plot.BenchmarkDisplay.from_results(results, ax=figure.subplots())
        figure.savefig(arguments.plot)
    return 0


def _selftest(_: argparse.Namespace) -> int:
    from fastnet import selftest

    checks = selftest.run(progress=lambda check: print(selftest.line(check), file=sys.stderr))
    print(selftest.report(checks))
    return 0 if all(check.passed for check in checks) else 1


def _isa(_: argparse.Namespace) -> int:
    print(f"compiled   {' '.join(isa.compiled())}")
    print(f"supported  {' '.join(isa.supported())}")
    print(f"active     {isa.active()}")
    return 0
