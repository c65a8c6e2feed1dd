"""The rules of the house that no linter knows: names of modules in the library, lengths of files, functions and the README."""

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = [path for path in (ROOT / "nuclick_qp").rglob("*.py") if path.name != "__init__.py"]


def test_no_two_modules_have_one_name() -> None:
    """A name says which module is meant; only the formats each have a `reading` and a `writing`. Packages count too."""
    packages = {path.parent for path in MODULES}
    names = Counter([path.stem for path in MODULES] + [folder.name for folder in packages])

    assert {name for name, count in names.items() if count > 1} == {"reading", "writing"}
    assert all(path.parents[1].name == "formats" for path in MODULES if path.stem in ("reading", "writing"))


def test_files_can_be_read_in_one_sitting() -> None:
    """At most 350 lines each."""
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in MODULES}

    assert {name: length for name, length in lengths.items() if length > 350} == {}


def test_functions_can_be_seen_at_once() -> None:
    """At most 40 lines each without the docstring, in the library and in the commands; options of a command are a table, not code."""
    found = [(f"{path.relative_to(ROOT)}: {node.name}", length_of(node)) for path in MODULES for node in functions_in(path)]
    for path in (ROOT / "cli").rglob("*.py"):
        found += [(f"{path.relative_to(ROOT)}: {node.name}", length_of(node) - options_of(node)) for node in functions_in(path)]

    assert len(found) > 800  # all of them were looked at
    assert [(name, length) for name, length in found if length > 40] == []


def functions_in(path: Path) -> list[ast.FunctionDef]:
    """Give all functions and methods of a file."""
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]


def length_of(node: ast.FunctionDef) -> int:
    """Count the lines of a function, those of its docstring left out."""
    first = node.body[0]
    docstring = 0 if ast.get_docstring(node) is None else (first.end_lineno or 0) - first.lineno + 1
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


def options_of(node: ast.FunctionDef) -> int:
    """Count the lines of the parameters of a function that has one in each line."""
    lines = {argument.lineno for argument in (*node.args.args, *node.args.kwonlyargs)}
    return len(lines - {node.lineno})


def test_readme_is_for_those_who_arrive() -> None:
    """Fewer than 800 words; all else is in docs/."""
    assert len((ROOT / "README.md").read_text("utf-8").split()) < 800
