"""The command line: one file per command; here they are put together, and errors become exit codes."""

import io
import logging
import sys
from typing import Annotated, Any

import typer
from typer.main import get_command
from typer.rich_utils import rich_format_error

from nuclick_qp import __version__
from nuclick_qp.errors import NuClickError, OptionError
from nuclick_qp.plain_text import printable
from nuclick_qp.stopping import raise_on_all_stops
from nuclick_qp_cli import batch, clear, doctor, evaluate, export, install_extension, models, restore, run, segment, serve, tables, train
from nuclick_qp_cli.shared import OverwriteCommand
from nuclick_qp_cli.terminal import LineFormatter, OutputLostError, complain, give_up_output, say

UsageError: Any = typer.BadParameter.__mro__[1]  # of click, or of the click that newer typer brings along
EXIT_USAGE = 2
EXIT_ERROR = 3

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Outlines of nuclei, cells and glands from the points and lines of a QuPath project.\n\n"
    "Exit codes: 0 all ok, 1 some prompts or images failed, 2 wrong usage, 3 error, 130 stopped by Ctrl-C (what is finished is kept).",
)
app.command("run", cls=OverwriteCommand)(run.run)
app.command("batch", cls=OverwriteCommand)(batch.batch)
app.command("segment", cls=OverwriteCommand)(segment.segment)
app.add_typer(models.app, name="models")
app.command("export")(export.export)
app.command("doctor")(doctor.doctor)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("tables")(tables.tables)
app.command("restore")(restore.restore)
app.command("clear")(clear.clear)
app.command("serve")(serve.serve)
app.command("install-extension")(install_extension.install_extension)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")] = False,
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Say more on stderr; twice for every detail.")] = 0,
) -> None:
    """Set up logging to stderr; stdout is kept for results."""
    levels = [logging.WARNING, logging.INFO, logging.DEBUG]
    to_stderr = logging.StreamHandler(sys.stderr)
    to_stderr.setFormatter(LineFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[to_stderr], level=levels[min(verbose, 2)], force=True)
    # It tells of each damaged tag in its own words; what that means for the image we say ourselves.
    logging.getLogger("tifffile").setLevel(logging.NOTSET if verbose else logging.CRITICAL)


def _command() -> Any:
    """Give the command line with switches that say nothing of a value: newer Typer writes `--tta <bool>` into the help."""
    command = get_command(app)
    commands = [command]
    for group in commands:  # grows meanwhile
        commands += getattr(group, "commands", {}).values()
    for one in commands:
        for option in (*one.params, one.get_help_option(typer.Context(one))):
            if getattr(option, "is_flag", False) or getattr(option, "count", False):
                option.metavar = ""  # type: ignore[union-attr]  # an argument is no flag
    return command


def main() -> None:
    """Run the command line; errors of ours become one line on stderr and an exit code."""
    raise_on_all_stops()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # image names hold any letter; a Windows pipe does not by itself
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        code = _run_command()
        sys.stdout.flush()
    except OutputLostError as err:
        give_up_output()
        complain(f"not all could be printed ({err}); what was written into files stays")
        code = EXIT_ERROR
    sys.exit(code)


def _run_command() -> int:
    """Run the command that the arguments name, and give the exit code."""
    try:
        return int(_command()(standalone_mode=False) or 0)
    except SystemExit as done:
        return int(done.code or 0)
    except UsageError as err:
        err.message = printable(err.message)  # it names an argument, and a shell puts file names for a *
        rich_format_error(err)
        return EXIT_USAGE
    except NuClickError as err:
        complain(str(err))
        return EXIT_USAGE if isinstance(err, OptionError) else EXIT_ERROR


if __name__ == "__main__":
    main()
