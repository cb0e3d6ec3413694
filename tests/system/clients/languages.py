"""How the program of each language is built and started. Each is copied to build/clients/<language>, so that nothing is
made in the source tree, and built again only when its files or these commands change.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BUILT = ROOT / "build/clients"
BUILD_SECONDS_MAX = 1500
FETCHING = ("go", "npm", "cargo", "mvn")  # tried twice, as a registry may be away for a moment
REGISTRY_PAUSE_SECONDS = 10


class Missing(Exception):
    """A tool that this language needs is not on this machine."""


class BuildFailed(Exception):
    """The text ends with the build's last lines."""


def tool(name: str, variable: str = "") -> str:
    """Path of a program. An environment variable goes before PATH; set but empty it says that there is none (new enough)."""
    path = os.environ.get(variable, shutil.which(name))
    if not path:
        raise Missing(f"no {name} (tests/setup clients)")
    return path


@dataclass
class Language:
    name: str
    client: str
    environment: dict[str, str] = field(default_factory=dict)

    def build_commands(self) -> list[list[str]]:
        """Run one after the other in `folder`; raises Missing."""
        return []

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
            run = self.run(command)
            if run.returncode and Path(command[0]).name in FETCHING:
                time.sleep(REGISTRY_PAUSE_SECONDS)
                run = self.run(command)
            (self.folder / "build.log").write_text(run.stdout)
            if run.returncode:
                raise BuildFailed(f"{' '.join(command)} ended with {run.returncode}:\n" + "\n".join(run.stdout.splitlines()[-30:]))
        stamp.write_text(content.hexdigest())
        return True

    def run(self, command: list[str]) -> subprocess.CompletedProcess:
        return subprocess.run(command, cwd=self.folder, env=os.environ | self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=BUILD_SECONDS_MAX)


class C(Language):
    def build_commands(self):
        flags = ["-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"]
        return [[tool("cc"), *flags, "-o", "program", *(path.name for path in self.files() if path.suffix == ".c"), "-lnats"]]

    def command(self):
        return [str(self.folder / "program")]


class Python(Language):
    def command(self):
        return [sys.executable, "-B", str(self.folder / "program.py")]


class Go(Language):
    def build_commands(self):
        return [[tool("go", "TREEGATE_GO"), "build", "-trimpath", "-o", "program", "."]]

    def command(self):
        return [str(self.folder / "program")]


class JavaScript(Language):
    def build_commands(self):
        return [[tool("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]]

    def command(self):
        return [tool("node"), str(self.folder / "program.js")]


class Rust(Language):
    def build_commands(self):
        return [[tool("cargo", "TREEGATE_CARGO"), "build", "--locked", "--quiet"]]

    def command(self):
        return [str(self.folder / "target/debug/program")]


class Java(Language):
    def build_commands(self):
        sources = [path.name for path in self.files() if path.suffix == ".java"]
        return [[tool("mvn"), "--batch-mode", "--quiet", "dependency:copy-dependencies"],
                [tool("javac"), "--release", "17", "-Xlint:all", "-Werror", "-cp", "jars/*", "-d", "classes", *sources]]

    def command(self):
        # The first compiler alone and one collector: these programs live for seconds.
        return [tool("java"), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{self.folder}/classes:{self.folder}/jars/*", "Program"]


ALL = [Python("python", "nats-py"), C("c", "libnats"), Go("go", "nats.go", environment={"GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}),
       JavaScript("javascript", "@nats-io/transport-node"),
       Rust("rust", "async-nats", environment={"CARGO_TARGET_DIR": str(BUILT / "rust/target")}),
       Java("java", "jnats")]
