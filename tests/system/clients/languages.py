"""How the program of each language is built and started. Each is copied to build/clients/<language>, so that nothing is
made in the source tree, and built again only when its files or these commands change.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BUILT = ROOT / "build/clients"
BUILD_SECONDS_MAX = 1500


class Missing(Exception):
    """A tool that this language needs is not on this machine."""


class BuildFailed(Exception):
    """The text ends with the build's last lines."""


def tool(name: str, variable: str = "") -> str:
    """Path of a program; the environment variable, where one is given and set, goes before PATH."""
    path = os.environ.get(variable) or shutil.which(name)
    if not path:
        raise Missing(f"no {name}")
    return path


@dataclass
class Language:
    name: str
    client: str

    def tools(self) -> list[str]:
        """What it needs; raises Missing."""
        return []

    def build_commands(self) -> list[list[str]]:
        return []

    environment: dict[str, str] = field(default_factory=dict)

    def command(self) -> list[str]:
        raise NotImplementedError

    @property
    def source(self) -> Path:
        return HERE / self.name

    @property
    def folder(self) -> Path:
        return BUILT / self.name

    def files(self) -> list[Path]:
        return sorted(path for path in self.source.rglob("*") if path.is_file() and "__pycache__" not in path.parts)

    def build(self) -> bool:
        """Builds what is not built yet; returns whether there was anything to do."""
        commands = self.build_commands()
        content = hashlib.sha256(repr(commands).encode())
        for path in self.files():
            content.update(f"{path.relative_to(self.source)}\0".encode() + path.read_bytes())
        stamp = self.folder / ".built-from"
        if stamp.exists() and stamp.read_text() == content.hexdigest():
            return False
        stamp.unlink(missing_ok=True)
        for path in self.files():
            copy = self.folder / path.relative_to(self.source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if not copy.exists() or copy.read_bytes() != path.read_bytes():
                shutil.copyfile(path, copy)
        for command in commands:
            run = subprocess.run(command, cwd=self.folder, env=os.environ | self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, errors="replace", timeout=BUILD_SECONDS_MAX)
            (self.folder / "build.log").write_text(run.stdout)
            if run.returncode:
                raise BuildFailed(f"{' '.join(command)} ended with {run.returncode}:\n" + "\n".join(run.stdout.splitlines()[-30:]))
        stamp.write_text(content.hexdigest())
        return True


class C(Language):
    def build_commands(self):
        flags = ["-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"]
        return [[tool("cc"), *flags, "-o", "program", *(path.name for path in self.files() if path.suffix == ".c"), "-lnats"]]

    def command(self):
        return [str(self.folder / "program")]


class Python(Language):
    def command(self):
        return [sys.executable, "-B", str(self.folder / "program.py")]


ALL = [Python("python", "nats-py"), C("c", "libnats")]
