"""Hatch's build hook: with `REELATED_MACHINE_CODE=1`, put the kernels' machine code into the wheel.

Such a wheel is for one version of Python and one platform. Without the variable the wheel is for all.
"""

import os
import platform
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LINUX = "manylinux_2_28"
"""The oldest Linux on which numba can be installed."""


class MachineCodeHook(BuildHookInterface):
    """Compile the kernels in the environment of the build."""

    def wanted(self):
        """Return whether this build compiles the kernels."""
        return os.environ.get("REELATED_MACHINE_CODE") == "1"

    def dependencies(self):
        """Return the dependencies of the build: those of the package."""
        project = tomllib.loads(Path(self.root, "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return project["dependencies"] if self.wanted() else []

    def initialize(self, version, build_data):
        """Compile the kernels and add the archives to the wheel."""
        if not self.wanted() or version == "editable":
            return
        folder = Path(self.root, "build", "machine_code")
        for old in folder.glob("*.zip"):
            old.unlink()
        subprocess.run([sys.executable, Path(self.root, "tools", "machine_code.py"), folder], check=True)
        for path in folder.glob("*.zip"):
            build_data["force_include"][str(path)] = f"reelated/_kernels/machine_code/{path.name}"
        system = sysconfig.get_platform()
        if system.startswith("linux"):
            system = f"{LINUX}_{platform.machine()}"
        build_data["pure_python"] = False
        build_data["tag"] = f"cp{sys.version_info[0]}{sys.version_info[1]}-none-{re.sub('[-.]', '_', system)}"
