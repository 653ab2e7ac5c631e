"""Print the version, without importing the package."""

import re
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "reelated" / "_version.py"

if __name__ == "__main__":
    print(re.search(r'__version__ = "(.+)"', SOURCE.read_text(encoding="utf-8"))[1])
