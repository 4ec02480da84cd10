"""Our source files as text and syntax trees, real ones and, for the tests of the checks themselves, made-up ones."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("schemas", "connectors", "streams", "api", "ops")


@dataclass(frozen=True)
class Source:
    """One Python file; `path` is relative to the project's root."""

    path: str
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """The dotted name that relative imports in this file start from."""
        return ".".join(Path(self.path).parent.parts)

    @property
    def module(self) -> str:
        """The file's dotted name."""
        return ".".join(Path(self.path).with_suffix("").parts).removesuffix(".__init__")


def source(path: str, text: str) -> Source:
    """A source file out of its text."""
    return Source(path, text, ast.parse(text, path))


@cache
def sources() -> tuple[Source, ...]:
    """Every Python file of our packages."""
    files = (file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py")))
    return tuple(source(file.relative_to(ROOT).as_posix(), file.read_text("utf-8")) for file in files)


def imports(of: Source) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of all that is imported, anywhere in the file, by statement or by `import_module("…")`."""
    for node in ast.walk(of.tree):
        match node:
            case ast.Import(names=names):
                yield from ((name.name, node.lineno) for name in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                parts = of.package.split(".")[: len(of.package.split(".")) - level + 1] if level else []
                base = ".".join([*parts, *([module] if module else [])])
                yield from ((f"{base}.{name.name}", node.lineno) for name in names)
            case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]):
                if dotted(function).rpartition(".")[2] in {"import_module", "__import__"}:
                    yield name, node.lineno


def dotted(node: ast.expr) -> str:
    """`a.b.c` for an attribute or name, empty for anything else."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            return f"{dotted(value)}.{attribute}" if dotted(value) else ""
    return ""


def within(name: str, roots: tuple[str, ...]) -> bool:
    """Whether a dotted name or a path is one of `roots` or lies inside one."""
    return any(name == root or name.startswith((f"{root}.", f"{root}/")) for root in roots)
