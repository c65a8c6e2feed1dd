"""`nuclick-qp install-extension`: the menu in QuPath."""

from pathlib import Path
from typing import Annotated

import typer

from nuclick_qp_cli.terminal import say


def install_extension(
    qupath_dir: Annotated[Path | None, typer.Option(help="User directory of a QuPath; else all in ~/QuPath.")] = None,
) -> None:
    """Put the extension into QuPath, which shows Extensions > NuClick after its next start."""
    from nuclick_qp.qupath import extension

    folders = extension.user_folders(Path.home()) if qupath_dir is None else [qupath_dir]
    program = extension.find_program()
    for place in extension.install_extension(folders, program=program):
        say(f"{place}")
    say(f"start QuPath anew: Extensions > NuClick works with {program}")
