"""Solutions broken in a small way, one operator or number at a time: the checks catch them, but for those that change nothing.

The mutants are those of cosmic-ray, as in tools/mutants.py, of the answers in solutions/src.
"""

import ast
import contextlib
import io
from pathlib import Path

import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from mmteach.course.exercises import CHECK, instructors
from mmteach.exercises import CHAPTERS, find
from mmteach.exercises.notebook import verdict

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "solutions" / "src").glob("*.py"))
OPERATORS = [name for name in operator_names() if name not in ("core/VariableReplacer", "core/VariableInserter")]
# Mutants that live, by task, and why: each gives what the answer gives.
EQUIVALENT = {
    ("concepts.pad", "return ids, ids > 0"): "no word has a number below 0",
    (
        "concepts.information",
        "independent = p.sum(dim=1, keepdim=True) * p.sum(dim=0, keepdim=False)",
    ): "a row broadcasts alike",
    ("fusion.auc", "positive, negative = scores[labels == 1][:, None], scores[labels <= 0]"): "labels are 0 or 1",
    ("fusion.auc", "positive, negative = scores[labels >= 1][:, None], scores[labels == 0]"): "labels are 0 or 1",
    (
        "cross_modal.siglip",
        "return -F.logsigmoid(y * (t * image @ text.T + b)).sum(dim= 0).mean()",
    ): "the table of pairs is square",
    (
        "cross_modal.copies",
        "total = total + far.masked_fill(~mismatch, not torch.inf).amax(dim=1).clamp(min=0).sum()",
    ): "False is 0, and a hinge of 0 costs as little as one of minus infinity",
    ("cross_modal.teacher", "return read, wanted, wanted > 0"): "no token is below 0",
    ("cross_modal.bleu", "if right <= 0:"): "no count is below 0",
    ("multi_task.dwa", "return len(r) * torch.softmax(r / tau, dim= -1)"): "there is one axis",
    ("multi_task.holm", "corrected = (factors * values).clamp(max=1).cummax(dim= -1).values"): "there is one axis",
    (
        "multi_task.conflicts",
        "gradient = torch.zeros_like(used[ -1])",
    ): "all tasks' gradients of a parameter have its shape",
    ("multi_task.gradnorm", "w = len(s) * s.softmax(dim= -1)"): "there is one axis",
    ("multi_task.pcgrad", "if j is not i and dot < 0:"): "Python keeps small numbers once",
    ("multi_task.pcgrad", "if j != i and dot <= 0:"): "where the product is 0 nothing is taken away",
    ("applications.greedy", "texts.append(runs[runs > 0].tolist())"): "no label is below 0",
    (
        "applications.ctc",
        "a = [log_p[0, 0], log_p[0, y[0]]] + [nothing] * (len(s) ^ 2)",
    ): "more places than there are, never read",
    ("applications.ctc", "if i != 1 and label not in (0, s[i - 2]):"): "at place 0 stands a blank",
    ("applications.ctc", "if i > 2 and label not in (0, s[i - 2]):"): "at place 2 stands a blank",
    ("applications.ctc", "if i > 1 and label not in ( -1, s[i - 2]):"): "two before a blank stands a blank",
    ("applications.ctc", "nothing = torch.tensor(- 1000000001.0)"): "as good as minus infinity",
    ("applications.ctc", "nothing = torch.tensor(- 999999999.0)"): "as good as minus infinity",
    ("applications.ctc", "a.append(row[label] + torch.stack(come).logsumexp(dim= -1))"): "there is one axis",
    (
        "applications.cer",
        "row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a is not t)))",
    ): "Python keeps every letter once",
    (
        "outlook.beyond",
        "independent = table.sum(dim=1, keepdim=True) / table.sum(dim=0)",
    ): "p(y) cancels in the difference",
    ("outlook.beyond", "there = table != 0"): "no probability is below 0",
    (
        "outlook.shards",
        "workers = [(gradient, n / sum(counts)) for gradient, n in zip(gradients, counts) if n != 0]",
    ): "no count is below 0",
    (
        "outlook.shards",
        "return {name: sum(share * gradient[name] for gradient, share in workers) for name in gradients[ 1]}",
    ): "all workers have the same names",
    (
        "outlook.shards",
        "return {name: sum(share * gradient[name] for gradient, share in workers) for name in gradients[ -1]}",
    ): "all workers have the same names",
    ("outlook.doubt", "if q <= 0:"): "q is never below 0",
}


def answers():
    """(task's name, what runs before it, the answer's own cell) of every solution that is a function or a class."""
    for path in SOURCES:
        before = ""
        cell = ""
        for one in instructors(path).cells:
            if one.cell_type != "code":
                continue
            checked = CHECK.search(one.source)
            if checked and find(checked[1]).kind in ("implement", "debug"):
                yield checked[1], before, cell
            elif one.metadata.nbgrader.solution:
                cell = one.source
            elif not checked and not one.metadata.get("tags"):  # neither Colab's cell nor one that measures
                before += "\n" + one.source


def mutants(source):
    """Every mutant of a piece of code that differs from it in more than its text."""
    seen = {ast.dump(ast.parse(source))}
    for name in OPERATORS:
        operator = get_operator(name)()
        positions = sum(len(list(operator.mutation_positions(node))) for node in ast_nodes(get_ast(source)))
        for occurrence in range(positions):
            changed = mutate_code(source, operator, occurrence)
            with contextlib.suppress(SyntaxError):
                if changed and (shape := ast.dump(ast.parse(changed))) not in seen:
                    seen.add(shape)
                    yield changed


def lives(task, before, source):
    """Whether an answer that this source defines gets all points on three draws."""
    space = {}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(before, space)
            exec(source, space)
    except Exception:
        return False
    return all(verdict(task, space.get(task.answer), seed)[0].ok for seed in (1, 2, 3))


@pytest.mark.full
@pytest.mark.timeout(900)
def test_the_checks_catch_broken_solutions():
    made, survivors = 0, []
    for name, before, source in answers():
        task = find(name)
        assert lives(task, before, source), name
        for mutant in mutants(source):
            made += 1
            if lives(task, before, mutant):
                changed = [line.strip() for line in mutant.split("\n") if line not in source.split("\n")]
                survivors.append((name, " / ".join(changed)))
    unexplained = [one for one in survivors if one not in EQUIVALENT]
    print(f"{made} mutants, {len(survivors)} live")
    assert made > 10 * len(CHAPTERS) and unexplained == []
