"""The `rollcall` command in this process, which spares a start of Python."""

import subprocess

from typer.testing import CliRunner

from app.cli import build_commands
from app.errors import OperatorError
from tests.support.service.process import environment


def invoke(
    *arguments: str, env: dict[str, str], stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; the counterpart of `rollcall` without a process.

    Args:
        arguments: the command and its arguments.
        env: all settings of Rollcall; others of this process are left out.
        stdin: the standard input.
    """
    unset: dict[str, str | None] = {
        name: None for name in environment() if name.startswith("ROLLCALL_")
    }
    result = CliRunner().invoke(
        build_commands(arguments[0]), arguments, input=stdin, env={**unset, **env}
    )
    stderr = result.stderr
    if isinstance(result.exception, OperatorError):  # as `app.cli.main` prints it
        stderr += f"rollcall: {result.exception.detail}\n"
    elif not isinstance(result.exception, SystemExit | None):
        raise result.exception
    return subprocess.CompletedProcess(
        list(arguments), result.exit_code, result.stdout, stderr
    )
