"""Imports point one way: agent.session <- db <- agent <- web."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("agent", "db", "web")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
CORE = [path for path in MODULES if path.is_relative_to(ROOT / "agent" / "session")]
CLOCKS_AND_IO = {
    "asyncio",
    "io",
    "logging",
    "multiprocessing",
    "os",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
}


def imported_by(path: Path) -> Iterator[str]:
    """Full names of what a module imports, wherever in it; `from a import b` is both a and a.b."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                package = path.relative_to(ROOT).parts[: -node.level]
                module = ".".join([*package, *([module] if module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_in(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_is_something_to_look_at() -> None:
    names = {named(path) for path in MODULES}
    assert {"agent/session/fold.py", "agent/worker.py", "db/pool.py"} <= names


def test_imports_are_found_however_they_are_written(tmp_path: Path) -> None:
    module = tmp_path / "m.py"
    module.write_text("import a.b as c\nfrom d import e\ndef f():\n    from g.h import i\n")
    assert set(imported_by(module)) == {"a.b", "d", "d.e", "g.h", "g.h.i"}


@pytest.mark.parametrize("path", CORE, ids=named)
def test_the_core_imports_the_standard_library_and_itself(path: Path) -> None:
    strangers = {
        name
        for name in imported_by(path)
        if name.split(".")[0] not in sys.stdlib_module_names and not is_in(name, "agent.session")
    }
    assert strangers == set()


@pytest.mark.parametrize("path", CORE, ids=named)
def test_the_core_has_no_clock_and_touches_nothing(path: Path) -> None:
    assert {name for name in imported_by(path) if name.split(".")[0] in CLOCKS_AND_IO} == set()
    calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    methods = {call.attr for call in calls if isinstance(call, ast.Attribute)}
    functions = {call.id for call in calls if isinstance(call, ast.Name)}
    assert methods.isdisjoint({"now", "utcnow", "today", "open", "read_text", "read_bytes", "write_text"})
    assert functions.isdisjoint({"open", "print", "input", "exec", "eval"})


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "db")], ids=named)
def test_the_database_knows_the_core_and_asyncpg_only(path: Path) -> None:
    strangers = {
        name
        for name in imported_by(path)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not is_in(name, "agent.session", "db", "asyncpg")
    }
    assert strangers == set()


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "agent")], ids=named)
def test_the_agent_does_not_know_the_web(path: Path) -> None:
    assert {name for name in imported_by(path) if is_in(name, "web")} == set()


def test_the_core_runs_where_nothing_is_installed() -> None:
    modules = ", ".join(f"agent.session.{path.stem}" for path in CORE if path.stem != "__init__")
    bare = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {modules}"],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert (bare.returncode, bare.stderr) == (0, "")
