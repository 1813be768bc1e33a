"""The code that a function depends on: its own definition and, recursively, the definitions that it names.

Definitions are followed through names, through attributes of imported modules, and into Attar's modules and modules beside the
file. A module that is used as a value (passed on, or read by `getattr`) counts whole. Comments and docstrings do not count. How
a reply was fetched is not part of the request, so the engines are excluded.
"""

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

OUTSIDE = ("attar.engines", "attar.core.errors", "attar.core.fingerprint", "attar.core.source")
"""Modules (with their submodules) whose code is in no fingerprint."""

WHOLE = "*"
Definition = tuple[Path, str]
"""A file and a name that it defines at its top level."""
Imported = tuple[Path, str | None]
"""Where an imported name comes from: a file and its name there; WHOLE for all of the file, None for its module as a value."""


@dataclass(slots=True)
class _Module:
    """The top-level statements of a file, by the names that each binds."""

    statements: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, Imported] = field(default_factory=dict)
    unused: list[Path] = field(default_factory=list)
    """Files imported under a name that nothing here uses: imported for their side effects."""


def code_of(file: Path, name: str) -> list[str]:
    """Sorted hashes of a definition and of all that it depends on; changed code changes at least one of them."""
    seen: dict[Definition, str] = {}
    queue = [(file, name)]
    while queue:
        where = queue.pop()
        if where not in seen:
            seen[where], needs = _hash_and_uses(*where)
            queue.extend(needs)
    return sorted(seen.values())


def code_of_module(file: Path) -> list[str]:
    """Hashes of everything in a file and of all that it depends on."""
    return sorted({code for name in _read_module(file).statements for code in code_of(file, name)})


def clear_caches() -> None:
    """Read files again, in a process whose code is edited while it runs."""
    _hash_and_uses.cache_clear()
    _read_module.cache_clear()


@lru_cache
def _hash_and_uses(file: Path, name: str) -> tuple[str, tuple[Definition, ...]]:
    """The hash of a definition, and the definitions that it names."""
    statements = _read_module(file).statements.get(name, [])
    needs = tuple(dict.fromkeys(need for statement in statements for need in _used_definitions(statement, file)))
    text = name + "\n".join(ast.dump(_without_docstrings(statement)) for statement in statements)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest(), needs


@lru_cache
def _read_module(file: Path) -> _Module:
    """A file's definitions and imports."""
    module = _Module()
    tree = ast.parse(file.read_text())
    for statement in tree.body:
        nested = ast.walk(statement) if isinstance(statement, ast.If | ast.Try) else (statement,)
        module.imports |= {name: found for node in nested for name, found in _imports(node, file)}
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # a docstring of the module or of a value
        for name in _bound_names(statement):
            module.statements.setdefault(name, []).append(statement)
    for statement in tree.body:  # a decorator of this file may register the function, in itself or in a name that it uses
        marks = [name for mark in getattr(statement, "decorator_list", ()) for name in _names(mark)]
        registries = {name: module.statements[name][0] for name in marks if name in module.statements}
        for name in {
            *registries,
            *(inner for registry in registries.values() for inner in _names(registry)),
        } & module.statements.keys():
            module.statements[name].append(statement)
    used = _names(tree)
    module.unused = [there for name, (there, _) in module.imports.items() if name not in used]
    return module


def _names(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _bound_names(statement: ast.stmt) -> set[str]:
    """The names that a top-level statement defines or may change; of a compound statement, all names in it."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return set()
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        inner = {node.name for node in ast.walk(statement) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        return inner | _names(statement)
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return {name for target in targets for name in _targets(target)}


def _targets(target: ast.expr) -> Iterator[str]:
    """The names that an assignment binds or changes in place."""
    while isinstance(target, ast.Subscript | ast.Attribute | ast.Starred):
        target = target.value
    if isinstance(target, ast.Name):
        yield target.id
    for part in getattr(target, "elts", ()):
        yield from _targets(part)


def _used_definitions(statement: ast.stmt, file: Path) -> Iterator[Definition]:
    """The definitions that a statement names: in its own file, and in imported modules that count."""
    module = _read_module(file)
    known = dict(module.imports)
    for node in ast.walk(statement):
        known.update(_imports(node, file))
    through: set[int] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            there, name = known.get(node.value.id, (file, WHOLE))
            if name is None:
                through.add(id(node.value))
                yield from _definition(there, node.attr)
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and id(node) not in through:
            yield from _definition(*known[node.id]) if node.id in known else _defined_here(module, file, node.id)
    for there in (known[WHOLE][:1] if WHOLE in known else ()) + tuple(module.unused):
        yield from _all_definitions(there)


def _defined_here(module: _Module, file: Path, name: str) -> Iterator[Definition]:
    if name in module.statements:
        yield file, name


def _definition(file: Path, name: str | None) -> Iterator[Definition]:
    """Where a name of a file is defined: there, or in a module it is imported from; for WHOLE, all that the file defines."""
    module = _read_module(file)
    if name is None or name == WHOLE:
        yield from _all_definitions(file)
    elif name in module.statements:
        yield file, name
    elif name in module.imports:
        yield from _definition(*module.imports[name])


def _all_definitions(file: Path) -> Iterator[Definition]:
    """All that a file defines."""
    for name in _read_module(file).statements:
        yield file, name


def _imports(node: ast.AST, file: Path) -> Iterator[tuple[str, Imported]]:
    """The names that an import statement binds to modules that count."""
    if isinstance(node, ast.ImportFrom):
        above = "." * node.level + (node.module or "")
        for alias in node.names:
            inner = _module_file(f"{above}.{alias.name}" if node.module else above + alias.name, file)
            if inner is not None:
                yield alias.asname or alias.name, (inner, None)
            elif (outer := _module_file(above, file)) is not None:
                yield alias.asname or alias.name, (outer, alias.name)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            if (there := _module_file(alias.name, file)) is not None:
                root = alias.name.partition(".")[0]  # `import a.b` binds `a`: which of its names are used is not known
                yield alias.asname or root, (there, None if alias.asname or root == alias.name else WHOLE)


def _module_file(name: str, beside: Path) -> Path | None:
    """The file of a module that counts: Attar's own unless excluded, or one beside (or below) the importing file."""
    if name.startswith("attar."):
        inside = not any(name == outer or name.startswith(outer + ".") for outer in OUTSIDE)
        return _installed_file(name) if inside else None
    level = len(name) - len(name.lstrip("."))
    folder = beside.parents[max(0, level - 1)]
    path = folder / (name.lstrip(".").replace(".", "/") + ".py")
    return path if name.strip(".") and path.is_file() else None


@lru_cache
def _installed_file(name: str) -> Path | None:
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:  # `from module import function`: the name is not a module
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _without_docstrings(tree: ast.stmt) -> ast.stmt:
    """A statement without its docstrings."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        kept = [line for line in node.body if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))]
        node.body = kept or [ast.Pass()]
    return tree
