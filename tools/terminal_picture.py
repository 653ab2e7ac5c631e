"""Draw the README's pictures of the terminal from the output of the commands: `python tools/terminal_picture.py`.

The SVG files are self-contained: they load no fonts and no other files.
"""

import os
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from reelated.cli import commands, show

FOLDER = Path(__file__).parents[1] / "docs" / "images"
COMMANDS = (
    ("recommend", "sample", "--user", "300", "-n", "6"),
    ("explain", "sample", "--user", "300", "--item", "Braveheart", "--by", "rating"),
)
WIDTH = 98
LIGHT = TerminalTheme(
    (246, 248, 250),
    (31, 35, 40),
    [
        (69, 76, 84),
        (209, 36, 47),
        (26, 127, 55),
        (154, 103, 0),
        (9, 105, 218),
        (130, 80, 223),
        (27, 124, 131),
        (99, 108, 118),
    ],
)
DARK = TerminalTheme(
    (22, 27, 34),
    (230, 237, 243),
    [
        (72, 79, 88),
        (255, 123, 114),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (188, 140, 255),
        (57, 197, 207),
        (177, 186, 196),
    ],
)
FORM = """<svg xmlns="http://www.w3.org/2000/svg" class="rich-terminal" viewBox="0 0 {width} {height}">
<title>The terminal: recommendations for a user, and why one of them is what it is</title>
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-ligatures: none;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""Rich's template with the fonts of the viewer's machine; Rich would load fonts from the network."""


def picture(theme: TerminalTheme) -> str:
    """Run the commands on a recording console and return the SVG."""
    screen = Console(record=True, width=WIDTH, force_terminal=True, color_system="truecolor", highlight=False)
    before = show.console, show.errors
    show.console, show.errors = lambda: screen, screen
    try:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            screen.file = nowhere
            for number, words in enumerate(COMMANDS):
                prompt = Text.assemble("\n" * (number > 0), ("$ ", "green"), (f"reelated {' '.join(words)}", "bold"))
                screen.print(prompt)
                commands.app(list(words), standalone_mode=False)
    finally:
        show.console, show.errors = before
    svg = screen.export_svg(theme=theme, title="", code_format=FORM, unique_id="reelated")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def main() -> None:
    """Write both pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, theme in (("light", LIGHT), ("dark", DARK)):
        (FOLDER / f"terminal-{name}.svg").write_text(picture(theme), encoding="utf-8")


if __name__ == "__main__":
    main()
