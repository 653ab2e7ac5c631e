"""The app, its help, and the decorator that registers a command in a panel of the help."""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from reelated._version import __version__

PANELS = ("Start", "Ask", "Look", "Measure", "Save", "Serve")
"""The panels of the help, in the order in which they are shown."""


def _plain_types(params: list[Any]) -> list[Any]:
    """In the help, hide the types of flags, and show repeatable options with the type of one value."""
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
        elif getattr(param, "multiple", False) and param.metavar is None:
            param.metavar = "<str>"
    return params


class PlainGroup(TyperGroup):
    """A group of commands, with the same help as a command."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _plain_types(super().get_params(ctx))


class PanelGroup(PlainGroup):
    """The group of all commands, shown in panels."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands in the order of their panels."""
        commands: Any = self.commands
        return sorted(commands, key=lambda name: PANELS.index(commands[name].rich_help_panel))


class StrictCommand(TyperCommand):
    """A command that refuses a single-valued option given twice; Click would use the last value silently."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters; the help shows the type of a parameter only where it needs a value."""
        return _plain_types(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line, without the braces that Typer puts around required arguments."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, and refuse repeated options."""
        *_, options = self.make_parser(ctx).parse_args(args=list(args))
        for option in self.params:
            single_valued = not getattr(option, "multiple", True) and not getattr(option, "is_flag", True)
            if single_valued and (times := options.count(option)) > 1:
                raise typer.BadParameter(f"got {option.opts[-1]} {times} times: expected it once.")
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="reelated",
    cls=PanelGroup,
    help="Compute explained recommendations from a file of ratings.",
    epilog="Start with: reelated demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def command(panel: str, example: str, name: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that registers a command in a panel of the help, with an example."""
    return app.command(name, cls=StrictCommand, rich_help_panel=panel, epilog=f"Example: {example}")


def _version(show: bool) -> None:
    if show:
        typer.echo(f"reelated {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass
