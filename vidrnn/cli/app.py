"""The command line: the verbs joined. Heavy libraries are imported inside the verbs, so that help is fast."""

import atexit
import gc
import inspect
import io
import sys
from collections.abc import Callable
from typing import Annotated, cast

import typer

from vidrnn.cli.annotate import annotate
from vidrnn.cli.app_verb import app_verb
from vidrnn.cli.check import check
from vidrnn.cli.classify import classify
from vidrnn.cli.compare import compare
from vidrnn.cli.convert import convert
from vidrnn.cli.crossval import crossval
from vidrnn.cli.cut import cut
from vidrnn.cli.demo import demo
from vidrnn.cli.doctor import doctor
from vidrnn.cli.evaluate import evaluate
from vidrnn.cli.explain import explain
from vidrnn.cli.extract import extract
from vidrnn.cli.pretrain import pretrain
from vidrnn.cli.report import report
from vidrnn.cli.runs import runs
from vidrnn.cli.search import search
from vidrnn.cli.segments import segments
from vidrnn.cli.store import store_app
from vidrnn.cli.stream import stream
from vidrnn.cli.suggest import suggest
from vidrnn.cli.train import train
from vidrnn.cli.tune import tune
from vidrnn.errors import ExitCode, VidrnnError
from vidrnn.names import CONSOLE_ERRORS

app = typer.Typer(
    name="vidrnn",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Turn a folder of videos into an action recogniser: frozen CNN features, cached once, and a recurrent model.",
)
app.add_typer(store_app, name="store")


@app.callback()
def begin(
    context: typer.Context,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say what is being done, and how long it took. Before the verb.")
    ] = False,
) -> None:
    """What holds for every verb."""
    if verbose:
        from vidrnn.stages import shown_stages

        context.with_resource(shown_stages())  # until the verb ends


# Newer releases of typer carry their own click and do not export this class under a name.
UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])


_INTERRUPTED = 130  # what newer releases of typer return after Ctrl-C; older ones raise


def main() -> None:
    """Entry point of the ``vidrnn`` command."""
    # Else Python looks through all objects of PyTorch and OpenVINO before it ends, which takes longer than many a verb.
    atexit.register(gc.freeze)
    run(app)


def run(command: Callable[..., object]) -> None:
    """Call a verb with the arguments of the process and turn its outcome into an exit code of the contract."""
    for console in (sys.stdout, sys.stderr):  # a name in another encoding is shown, and ends nothing
        if isinstance(console, io.TextIOWrapper):
            console.reconfigure(errors=CONSOLE_ERRORS)
    if "" in sys.argv[1:]:  # typer takes it for the current folder
        print(
            "error: an empty argument was given; is a variable of the shell without a value? '.' is the current folder",
            file=sys.stderr,
        )
        sys.exit(ExitCode.USAGE)
    try:
        outcome = command(standalone_mode=False)
    except VidrnnError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except UsageError as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except OSError as error:
        print(f"error: {error}; what was finished before stays valid", file=sys.stderr)
        sys.exit(ExitCode.ERROR)
    except (KeyboardInterrupt, typer.Abort):
        outcome = _INTERRUPTED
    if outcome == _INTERRUPTED:
        print(
            f"stopped; what was finished stays, run the same command again{_how_to_go_on()} to go on", file=sys.stderr
        )
        sys.exit(ExitCode.ERROR)
    sys.exit(outcome if isinstance(outcome, int) else ExitCode.OK)


def _how_to_go_on() -> str:
    """`` with --resume``, where this verb has that option and was called without it."""
    words = sys.argv[1:]
    while words and words[0].startswith("-"):  # what stands before the verb
        words.pop(0)
    name, *arguments = words or [""]
    taking = [command.callback for command in app.registered_commands if command.callback is not None]
    resuming = {callback.__name__ for callback in taking if "resume" in inspect.signature(callback).parameters}
    return " with --resume" if name in resuming and "--resume" not in arguments else ""


for verb in (
    *(demo, check, extract, pretrain, train, evaluate, crossval, tune, compare, report),
    *(classify, segments, stream, annotate, explain, cut, convert),
    *(suggest, search, runs, doctor),
):
    app.command()(verb)
app.command("app")(app_verb)
