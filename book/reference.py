"""The library's reference from its docstrings: one page a package, in the order in which its files say things.

Nothing is imported: what stands in the source is shown. A docstring's parts become what they are written as: the sentence,
the indented equation, the `name: what it is` lines, the example.
"""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

# The packages in the order in which one builds on another, then what stands around them; a page each.
PAGES = ["data", "metrics", "encoders", "fusion", "alignment", "generation", "multitask", "training", "diagnosis"]
PAGES += ["figures", "widgets", "recipes", "claims", "exercises", "grading", "course", "cli", "doctor"]
NAME = re.compile(r"(?<![`}])`([A-Za-z_][\w.]*)`(?!`)")
ANSWERS = "references"  # what exercises are compared with
ITEM = re.compile(r"^((?:`?[\w*⟨⟩.′\[\]]+`?(?:, |\s*\(|\) |, …|…| and )?)+):\s+(?=\S)", re.UNICODE)


def write(package: Path, folder: Path) -> list[str]:
    """Write a page for each package and an index into `folder`; returns the names of the pages."""
    folder.mkdir(parents=True, exist_ok=True)
    there = {path.stem for path in package.iterdir() if (path.is_dir() or path.suffix == ".py") and path.stem[0] != "_"}
    pages = [name for name in PAGES if name in there] + sorted(there - set(PAGES) - {"results", "files"})
    rows, known = [], _addresses(package, pages)
    for name in pages:
        modules = _modules(package, name)
        parts = [f"# mmteach.{name}"]
        parts += [
            link(_module(path, package, first=i == 0), _name(path, package), known) for i, path in enumerate(modules)
        ]
        (folder / f"{name}.md").write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
        doc = ast.get_docstring(ast.parse(modules[0].read_text(encoding="utf-8"))) or ""
        rows.append(f"| [mmteach.{name}]({name}.md) | {doc.partition(chr(10))[0]} |")
    index = [
        "# The library",
        "What the chapters are written with. Each page is made from the docstrings of the source.",
    ]
    index += ["| package | what it is |\n|---|---|\n" + "\n".join(rows)]
    index += ["```{toctree}\n:hidden:\n\n" + "\n".join(pages) + "\n```"]
    (folder / "index.md").write_text("\n\n".join(index) + "\n", encoding="utf-8")
    return pages


def _modules(package: Path, name: str) -> list[Path]:
    """The files of a package, its own first; those whose name begins with _ are for the package itself."""
    if not (package / name).is_dir():
        return [package / f"{name}.py"]
    inside = [
        path for path in sorted((package / name).rglob("*.py"))
        if not any(part.startswith("_") or part == ANSWERS for part in path.relative_to(package / name).parts)
        or (path.name == "__init__.py" and path.parent.name != ANSWERS)
    ]  # fmt: skip
    return sorted(inside, key=lambda path: (path != package / name / "__init__.py", path.relative_to(package).parts))


def _name(path: Path, package: Path) -> str:
    """The name by which a file is imported."""
    parts = list(path.relative_to(package.parent).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _addresses(package: Path, pages: list[str]) -> dict[str, str]:
    """Where each module, function and class stands, by its own name and by that of the package that hands it on."""
    known: dict[str, str] = {}
    for page in pages:
        for path in _modules(package, page):
            module = _name(path, package)
            known[module] = module
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if _is_public(node):
                    known[f"{module}.{node.name}"] = f"{module}.{node.name}"
                    known.setdefault(f"{package.name}.{page}.{node.name}", f"{module}.{node.name}")
    return known


def link(text: str, module: str, known: dict[str, str]) -> str:
    """Text in which a name in `code` leads to its entry: classes, full names, and whatever opens a row of a table."""
    page = ".".join(module.split(".")[:2])

    def entry(found: re.Match[str], any_name: bool) -> str:
        name = found[1]
        places = [name] if "." in name else [f"{module}.{name}", f"{page}.{name}"]
        target = next((known[place] for place in places if place in known), None)
        wanted = any_name or "." in name or name[0].isupper()  # `dropout` in a sentence is an argument, not the module
        return f"{{py:obj}}`{name} <{target}>`" if target and wanted else found[0]

    def line(plain: str) -> str:
        if not plain.startswith("| "):
            return NAME.sub(lambda m: entry(m, False), plain)
        head, bar, rest = plain[1:].partition("|")
        return f"|{NAME.sub(lambda m: entry(m, True), head)}{bar}{NAME.sub(lambda m: entry(m, False), rest)}"

    pieces = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(piece if piece.startswith("```") else "\n".join(map(line, piece.split("\n"))) for piece in pieces)


def _module(path: Path, package: Path, first: bool) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    name = _name(path, package)
    said = [f"```{{py:module}} {name}\n```"]
    said += [] if first else [f"## {'.'.join(name.split('.')[2:])}"]
    said.append(ast.get_docstring(tree) or "")
    said += [_object(node, name) for node in tree.body if _is_public(node)]
    return "\n\n".join(part for part in said if part)


def _is_public(node: ast.AST) -> bool:
    kinds = (ast.FunctionDef, ast.ClassDef)
    return isinstance(node, kinds) and not node.name.startswith("_") and ast.get_docstring(node) is not None


def _object(node: ast.AST, module: str) -> str:
    """A function or class as a directive of Sphinx's, so that it has an address and stands in the index."""
    if isinstance(node, ast.ClassDef):
        made = next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
        inside = [prose(ast.get_docstring(node) or "")]
        inside += [_object(n, f"{module}.{node.name}") for n in node.body if _is_public(n)]
        signature, kind = f"{node.name}{_arguments(made) if made else '()'}", "class"
        if not made and any(
            isinstance(n, ast.AnnAssign) for n in node.body
        ):  # a dataclass: its fields are its arguments
            fields = [ast.unparse(n) for n in node.body if isinstance(n, ast.AnnAssign)]
            signature = f"{node.name}({', '.join(fields)})"
    else:
        assert isinstance(node, ast.FunctionDef)
        marks = {ast.unparse(decorator) for decorator in node.decorator_list}
        method = module.rpartition(".")[2][:1].isupper()
        kind = "property" if marks & {"property", "cached_property"} else "method" if method else "function"
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        signature = node.name + ("" if kind == "property" else _arguments(node) + returns)
        inside = [prose(ast.get_docstring(node) or "")]
    fence = ":" * (5 if kind == "class" else 4)
    content = "\n\n".join(inside)
    return f"{fence}{{py:{kind}}} {signature}\n\n{content}\n{fence}"


def _arguments(function: ast.FunctionDef) -> str:
    arguments = function.args
    if arguments.posonlyargs + arguments.args and (arguments.posonlyargs + arguments.args)[0].arg in ("self", "cls"):
        (arguments.posonlyargs or arguments.args).pop(0)
    return f"({ast.unparse(arguments)})"


def prose(docstring: str) -> str:
    """A docstring as Markdown: its paragraphs, with equations, lists of names and examples as what they are."""
    shown: list[str] = []
    for block in re.split(r"\n\s*\n", docstring.strip()):
        lines = block.splitlines()
        if lines[0].startswith(">>>"):
            shown.append(f"```pycon\n{block}\n```")
        elif lines[0].startswith("|"):
            shown.append(block)
        elif all(line.startswith("    ") for line in lines):
            shown.append(f"```text\n{textwrap.dedent(block)}\n```")
        else:
            shown.append(_items(lines))
    return "\n\n".join(shown)


def _items(lines: list[str]) -> str:
    """Lines of prose as they are; `name: what it is` lines as a list, its continued lines with them."""
    parts: list[str] = []
    for before, line in zip(["", *lines], lines):
        # A line that is full and ends in the middle of a sentence goes on in the next one.
        goes_on = line.startswith("  ") or (len(before) > 90 and before[-1] not in ".:")
        plain = escape(re.sub(r"(?<=\S)\s{2,}(?=\S)", "  ", line.strip()))
        item = ITEM.match(line)
        if item:
            pieces = [
                escape(p) for p in re.split(r";\s{2,}|\s{3,}(?=\w+:\s)", re.sub(r":\s+", ": ", line.strip(), count=1))
            ]
            parts += [f"- {piece}" for piece in pieces]
        elif goes_on and parts and parts[-1].startswith("- "):
            parts[-1] += " " + plain
        elif parts and not parts[-1].startswith("- "):
            parts[-1] += "\n" + plain
        else:
            parts.append(("\n" if parts else "") + plain)
    return "\n".join(parts)


def escape(text: str) -> str:
    """Text in which Markdown sees nothing but text, outside of `code` and *emphasis*."""
    pieces = re.split(r"(`[^`]+`|(?<![\w*])\*\w[\w ]*\w\*(?![\w*]))", text)
    return "".join(p if i % 2 else re.sub(r"([\\*_<>\[\]$#|{}~])", r"\\\1", p) for i, p in enumerate(pieces))
