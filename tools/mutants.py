"""Mutation testing: break the library in a small way, run its tests, and see whether one of them notices.

    OMP_NUM_THREADS=1 .venv/bin/python tools/mutants.py mutants.jsonl              # 100 mutants of each package
    OMP_NUM_THREADS=1 .venv/bin/python tools/mutants.py mutants.jsonl --survivors  # those that lived, again
    .venv/bin/python tools/mutants.py mutants.jsonl --report

The mutants are those of cosmic-ray's operators (another operator, a number one up or down, `not` added, a loop that
never turns, …), drawn at random: seed 0 unless `--seed` says otherwise. Not among them: annotations and
`if TYPE_CHECKING:` blocks, which change nothing that runs. Docstrings and other plain strings have no operator;
what stands in the braces of an error's f-string counts.

For each module, the unbroken code runs first: which tests mention one of its names (or a name of a module built on
it), that they pass, and how long each takes. Each mutant then meets these tests, the quickest first, and is dead at
the first that fails, or when it takes 10 s and three times the unbroken run's processor time. Tests of `torch.compile`
only take part with `--compile`. A test that is not chosen could only kill more: the reported share is a lower bound.

The mutated source is served by an import hook in a forked child; the working tree is never written to. The file of
JSON lines grows by one line a mutant: an interrupted run continues where it stopped.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib
import importlib.machinery
import importlib.util
import json
import os
import random
import re
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("fusion", "alignment", "multitask", "diagnosis")
# These two want to be told which variables; cosmic-ray itself leaves them out unless it is.
OPERATORS = [name for name in operator_names() if name not in ("core/VariableReplacer", "core/VariableInserter")]
WARM = ("hypothesis.strategies", "numpy", "scipy.linalg", "sklearn.cross_decomposition", "torch.func", "torchmetrics")


# ---- which mutants ----------------------------------------------------------------------------------------------------


def silent(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where a change changes nothing that runs: from (line, column) to (line, column), columns in characters."""
    lines = source.splitlines()

    def span(node: Any) -> tuple[tuple[int, int], tuple[int, int]]:
        ends = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
        return tuple((line, len(lines[line - 1].encode()[:column].decode())) for line, column in ends)  # type: ignore

    quiet: list[ast.AST] = []
    for node in ast.walk(ast.parse(source)):
        annotations = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        quiet += [a for a in annotations if isinstance(a, ast.expr)]
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            quiet.append(node)
    return [span(node) for node in quiet]


def mutants(package: str) -> Iterator[dict[str, Any]]:
    """Every mutant of a package, in a fixed order."""
    for path in sorted((ROOT / "mmteach" / package).rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        quiet, nodes = silent(source), list(ast_nodes(get_ast(source)))
        for name in OPERATORS:
            operator = get_operator(name)()
            positions = (position for node in nodes for position in operator.mutation_positions(node))
            for occurrence, (start, _) in enumerate(positions):
                if not any(begin <= start < end for begin, end in quiet):
                    yield {
                        "path": str(path.relative_to(ROOT)),
                        "operator": name.removeprefix("core/"),
                        "occurrence": occurrence,
                        "line": start[0],
                    }


def mutated(mutant: dict[str, Any]) -> tuple[str, str]:
    """The mutated source, and the lines that changed, before → after."""
    source = (ROOT / mutant["path"]).read_text(encoding="utf-8")
    changed = mutate_code(source, get_operator(f"core/{mutant['operator']}")(), mutant["occurrence"])
    before, after = source.splitlines(), changed.splitlines()
    first = next((i for i, (a, b) in enumerate(zip(before, after)) if a != b), 0)
    return changed, f"{before[first].strip()}  →  {after[first].strip()}"


# ---- which tests ------------------------------------------------------------------------------------------------------


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def names_in(path: Path) -> set[str]:
    return {
        n.name
        for n in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(n, ast.FunctionDef | ast.ClassDef)
    }


def names_of(path: str, package: str) -> set[str]:
    """The functions and classes of a module, and of the modules of its package that import from it, and so on."""
    files = [p for p in (ROOT / "mmteach" / package).rglob("*.py") if p.name != "__init__.py"]
    chosen = {ROOT / path}
    while True:
        wanted = "|".join(re.escape(module_name(str(p.relative_to(ROOT)))) for p in chosen)
        more = {p for p in files if re.search(rf"^from ({wanted}) import", p.read_text(encoding="utf-8"), re.M)}
        if more <= chosen:
            return set().union(*(names_in(p) for p in chosen))
        chosen |= more


def cases(names: set[str]) -> set[str]:
    """The names under which the tests' tables of cases hold one of `names`: "mfb" for `{"mfb": fu.MFB}`."""
    tables = [
        node
        for path in (ROOT / "tests/library").glob("*_cases.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Dict)
    ]
    entries = ((k, v) for table in tables for k, v in zip(table.keys, table.values))
    return {
        k.value
        for k, v in entries
        if isinstance(k, ast.Constant) and isinstance(k.value, str) and mentions(ast.unparse(v), names)
    }


def mentions(text: str, names: set[str]) -> bool:
    return bool(names) and re.search(rf"(?<!\w)({'|'.join(map(re.escape, names))})(?!\w)", text) is not None


class Choose:
    """Keep the tests that mention one of `names`, by their parameters or by their source, and time each."""

    def __init__(self, names: set[str], every: set[str], with_compile: bool) -> None:
        self.names, self.every, self.with_compile = names | cases(names), every | cases(every), with_compile
        self.cost: dict[str, float] = {}
        self.sources: dict[Path, dict[str, str]] = {}

    def functions(self, path: Path) -> dict[str, str]:
        if path not in self.sources:
            text = path.read_text(encoding="utf-8")
            found = {
                n.name: ast.get_source_segment(text, n) + "".join(map(ast.unparse, n.decorator_list))  # type: ignore
                for n in ast.walk(ast.parse(text))
                if isinstance(n, ast.FunctionDef)
            }
            self.sources[path] = found
        return self.sources[path]

    def relevant(self, item: Any) -> bool:
        if isinstance(item, pytest.DoctestItem):
            return True
        if "compile" in item.name and not self.with_compile:
            return False
        parameters = item.name.partition("[")[2]
        if mentions(parameters, self.every):
            return mentions(parameters, self.names)
        functions = self.functions(item.path)
        helpers = {f for f, text in functions.items() if not f.startswith("test_") and mentions(text, self.names)}
        return mentions(functions.get(item.originalname, ""), self.names | helpers)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [item for item in items if self.relevant(item)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Any:
        start = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        result = yield
        self.cost[item.nodeid] = round(resource.getrusage(resource.RUSAGE_SELF).ru_utime - start, 3)
        return result


class Replay:
    """Run the chosen tests only, the quickest first, on the mutant that `serve` imports."""

    def __init__(self, cost: dict[str, float], serve: Serve) -> None:
        self.cost, self.serve, self.failed = cost, serve, ""

    def pytest_sessionstart(self) -> None:
        sys.meta_path.insert(0, self.serve)  # only now, so as to come before pytest's own import hook

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.cost), key=lambda i: self.cost[i.nodeid])

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed = report.nodeid


# ---- running ----------------------------------------------------------------------------------------------------------


class Serve:
    """Import hook: `source` in the place of one module."""

    def __init__(self, path: str, source: str) -> None:
        self.path, self.source, self.module = str(ROOT / path), source, module_name(path)
        self.used = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self.module:
            return None
        self.used = True
        loader = importlib.machinery.SourceFileLoader(name, self.path)
        loader.get_code = lambda _: compile(self.source, self.path, "exec")  # type: ignore
        return importlib.util.spec_from_file_location(name, self.path, loader=loader)


def in_child(work: Callable[[], dict[str, Any]], seconds: int) -> dict[str, Any] | None:
    """What `work` returns in a forked child, or None if it dies or needs more processor time than `seconds`."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        try:
            with os.fdopen(write, "w") as pipe:
                pipe.write(json.dumps(work()))
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return json.loads(answer) if answer else None


def run_pytest(paths: list[str], plugin: object) -> int:
    options = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not full"]
    options += ["-p", "_hypothesis_pytestplugin", "--hypothesis-seed=0"]
    return int(pytest.main([*options, *paths], plugins=[plugin]))


def unbroken(path: str, with_compile: bool) -> dict[str, Any]:
    """The tests of a module, {test: processor seconds}; raises if the unbroken code doesn't pass them."""
    package = path.split("/")[1]
    tests = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "tests/library").glob(f"test_{package}*.py"))
    every = set().union(*(names_in(p) for p in (ROOT / "mmteach" / package).rglob("*.py")))

    def work() -> dict[str, Any]:
        choose = Choose(names_of(path, package), every, with_compile)
        return {"code": run_pytest([path, *tests], choose), "cost": choose.cost}

    answer = in_child(work, 1200)
    if answer is None or answer["code"] != 0 or not answer["cost"]:
        raise SystemExit(f"The unbroken {path} does not pass its tests: {answer}")
    return answer["cost"]


def judge(mutant: dict[str, Any], cost: dict[str, float]) -> dict[str, Any]:
    source, change = mutated(mutant)

    def work() -> dict[str, Any]:
        replay = Replay(cost, serve := Serve(mutant["path"], source))
        code = run_pytest(sorted({test.partition("::")[0] for test in cost}), replay)
        return {"survived": code == 0, "by": replay.failed, "used": serve.used}

    answer = in_child(work, 10 + int(3 * sum(cost.values())))
    if answer is None:
        return {**mutant, "change": change, "survived": False, "by": "time or crash"}
    if not answer.pop("used"):
        raise SystemExit(f"The tests of {mutant['path']} do not import it")
    return {**mutant, "change": change, **answer, "by": answer["by"] or ("" if answer["survived"] else "import")}


def warm_up() -> None:
    """Import once, before forking, what takes long; nothing of mmteach, which each child imports for itself."""
    from hypothesis import Phase, settings

    torch.set_num_threads(1)
    for name in WARM:
        importlib.import_module(name)
    # A failure is enough: it needn't be made small, nor remembered.
    settings.register_profile("mutants", database=None, deadline=None, phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutants")
    sys.path.insert(0, str(ROOT))
    sys.pycache_prefix = tempfile.mkdtemp(prefix="mutants-")
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    gc.freeze()  # pytest collects garbage at its end: not in what was imported here
    assert not any(name.startswith("mmteach") for name in sys.modules)


def report(results: list[dict[str, Any]]) -> None:
    for package in (*PACKAGES, ""):
        of = [r for r in results if r["path"].startswith(f"mmteach/{package}")]
        killed = sum(not r["survived"] for r in of)
        print(f"{package or 'together':10} {killed:4} of {len(of):4} killed{f', {killed / len(of):.1%}' if of else ''}")
    for r in sorted(results, key=lambda r: (r["path"], r["line"])):
        if r["survived"]:
            print(f"{r['path']}:{r['line']} {r['operator']}: {r['change']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("results", type=Path, help="the file of JSON lines, continued if it exists")
    parser.add_argument("--packages", nargs="+", default=PACKAGES, choices=PACKAGES)
    parser.add_argument("--count", type=int, default=100, help="mutants a package (100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile", action="store_true", help="let tests of torch.compile take part")
    parser.add_argument("--survivors", action="store_true", help="only run again what survived; the newest line counts")
    parser.add_argument("--report", action="store_true", help="only print what stands in the file")
    args = parser.parse_args()

    def key(m: dict[str, Any]) -> tuple[Any, ...]:
        return m["path"], m["operator"], m["occurrence"]

    lines = args.results.read_text(encoding="utf-8").splitlines() if args.results.exists() else []
    done = {key(m): m for m in map(json.loads, lines)}
    if args.report:
        report(list(done.values()))
        return

    warm_up()
    if args.survivors:
        todo = [m for m in done.values() if m["survived"] and m["path"].split("/")[1] in args.packages]
    else:
        drawn = []
        for package in args.packages:
            drawn += random.Random(args.seed).sample(list(mutants(package)), args.count)
        todo = [m for m in drawn if key(m) not in done]
    costs: dict[str, dict[str, float]] = {}
    for i, mutant in enumerate(sorted(todo, key=key), 1):
        path = mutant["path"]
        if path not in costs:
            costs[path] = unbroken(path, args.compile)
            print(f"{path}: {len(costs[path])} tests, {sum(costs[path].values()):.1f} s", flush=True)
        result = judge(mutant, costs[path])
        with args.results.open("a", encoding="utf-8") as out:
            out.write(json.dumps(result, ensure_ascii=False) + "\n")
        print(f"{i}/{len(todo)} {'SURVIVED' if result['survived'] else 'killed'} {result['change']}", flush=True)


if __name__ == "__main__":
    main()
