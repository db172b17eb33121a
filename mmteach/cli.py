"""The command line: `mmteach lab, run, doctor, data, check, build, verify, train, grade, bench`.

Exit codes: 0 good; 1 it ran and found a failure (a cell, a claim, something stale, a damaged file); 2 unusable input or
arguments; 130 interrupted. What went wrong is one clear line on stderr; MMTEACH_DEBUG=1 shows the traceback as well.
Each command imports what it needs when it is called, so that `mmteach --help` is there at once.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from mmteach.bench import SUITES
from mmteach.claims import SCALES

CHAPTERS = "by number or by the beginning of a name: 00, 3, 03_fusion (default: all)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if not args.command:
        parser.print_help()
        return 0
    try:
        code = args.call(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print(f"\nmmteach {args.command}: interrupted; nothing was left half-written", file=sys.stderr)
        return 130
    except BrokenPipeError:  # mmteach data list | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("MMTEACH_DEBUG") == "1":
            raise
        print(f"mmteach {args.command}: {_in_words(error)}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1


def _in_words(error: Exception) -> str:
    from mmteach.course.paths import CourseError
    from mmteach.data.store import DataError

    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("mmteach"):
        return f'{error.name} is not installed: pip install "mmteach[lab]", or make setup in a clone'
    if isinstance(error, (CourseError, DataError, ValueError)):
        return str(error)
    return f"{type(error).__name__}: {error} (this should not happen; MMTEACH_DEBUG=1 shows where it did)"


def _width() -> int:
    """The columns to fill: those of the terminal, within reason."""
    return max(60, min(100, shutil.get_terminal_size().columns))


def _parser() -> argparse.ArgumentParser:
    import mmteach

    parser = argparse.ArgumentParser(
        prog="mmteach",
        description="A hands-on course in multimodal learning.",
        epilog="`mmteach COMMAND --help` says more about a command. In the environment: MMTEACH_SCALE=smoke|laptop|gpu sets "
        "how much is computed, MMTEACH_COURSE names the course folder, MMTEACH_DEBUG=1 shows tracebacks.",
    )
    parser.add_argument("--version", action="version", version=f"mmteach {mmteach.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    lab = commands.add_parser("lab", help="open the course in JupyterLab", description="Open the course in JupyterLab.")
    lab.add_argument(
        "--port", type=int, metavar="N", help="the port to serve on (default: the first free one from 8888)"
    )
    lab.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    lab.set_defaults(call=_lab)

    run = commands.add_parser(
        "run",
        help="execute chapters without a browser",
        description="Execute chapters from fresh kernels: a line a notebook with its time, claims and memory. A cell that "
        "raises is shown, the other notebooks run all the same, and the exit code is 1.",
    )
    run.add_argument("chapters", nargs="*", metavar="CHAPTER", help=CHAPTERS)
    which = run.add_mutually_exclusive_group()
    which.add_argument(
        "--exercises", dest="folder", action="store_const", const="exercises", help="the exercise notebooks"
    )
    which.add_argument(
        "--solutions", dest="folder", action="store_const", const="solutions", help="the solved exercises"
    )
    run.add_argument("--json", type=Path, metavar="F", help="write times, claims and errors to this file")
    run.add_argument("--html", type=Path, metavar="DIR", help="write each executed notebook as a page into this folder")
    run.set_defaults(call=_run, folder="notebooks")

    doctor = commands.add_parser(
        "doctor",
        help="check versions, device and data",
        description="Check what the course needs (versions, device, precision, data) and say what to do about what is wrong.",
    )
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    doctor.set_defaults(call=_doctor)

    data = commands.add_parser(
        "data", help="what data is embedded", description="The embedded data sets: size, licence, source, splits."
    )
    what = data.add_subparsers(dest="what", metavar="WHAT", title="what to show")
    what.add_parser("list", help="a line a data set (the default)", description="A line a data set.")
    show = what.add_parser("show", help="one data set's card", description="One data set's card.")
    show.add_argument("name", metavar="NAME", help="as `mmteach data list` calls it")
    show.add_argument(
        "--out", type=Path, metavar="F", help="write a picture of samples to this file (.png, .svg, .pdf)"
    )
    data.set_defaults(call=_data)

    check = commands.add_parser(
        "check",
        help="check an exercise notebook",
        description="Check the answers in an exercise notebook: a line a task with its points and the first thing that is "
        "wrong. The notebook runs in a process of its own; cells that fail cost only what depends on them.",
    )
    check.add_argument("notebook", nargs="?", type=Path, metavar="NOTEBOOK", help="the notebook with your answers")
    check.add_argument("--json", type=Path, metavar="F", help="write the points and messages to this file")
    check.add_argument("--progress", action="store_true", help="show what you have solved so far, in all chapters")
    check.set_defaults(call=_check)

    build = commands.add_parser(
        "build",
        help="make the notebooks from their sources",
        description="Make notebooks/*.ipynb from notebooks/src/*.py, and solutions/*.ipynb and exercises/*.ipynb from "
        "solutions/src/*.py. A notebook is executed only where its code changed; where its text changed, the stored outputs "
        "stay.",
    )
    build.add_argument("chapters", nargs="*", metavar="CHAPTER", help=CHAPTERS)
    how = build.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="write nothing: exit 1 and a diff where a notebook is stale")
    how.add_argument("--force", action="store_true", help="execute the notebooks even where nothing changed")
    how.add_argument(
        "--handout",
        type=Path,
        metavar="DIR",
        help="write what a class is given: exercises, and a wheel without solutions",
    )
    how.add_argument("--otter", type=Path, metavar="DIR", help="write the exercises' tests for otter-grader")
    build.add_argument("--seed", type=int, default=0, metavar="N", help="with --handout: the seed of its stored inputs")
    build.set_defaults(call=_build)

    verify = commands.add_parser(
        "verify",
        help="how often each claim holds on fresh seeds",
        description="Run chapters on fresh seeds and count how often each claim holds, with a 95 % interval.",
    )
    verify.add_argument("chapters", nargs="*", metavar="CHAPTER", help=CHAPTERS)
    verify.add_argument("--seeds", type=int, default=5, metavar="N", help="runs of each chapter in all (default 5)")
    verify.add_argument(
        "--json", type=Path, metavar="F", help="keep the runs here; runs it already holds are not repeated"
    )
    verify.set_defaults(call=_verify)

    train = commands.add_parser(
        "train",
        help="make a chapter's long tables",
        description="Run an experiment that takes too long for a chapter, a seed at a time, and store its table. Without a "
        "name, the experiments are listed. Works under torchrun too.",
    )
    train.add_argument("name", nargs="?", metavar="TABLE", help="as `mmteach train` calls it")
    train.add_argument("--seeds", type=int, default=3, metavar="N", help="how many seeds, from 0 on (default 3)")
    train.add_argument("--out", type=Path, metavar="F", help="write here instead of where the chapter reads it")
    train.add_argument("--resume", action="store_true", help="keep the seeds that the file already has")
    train.add_argument("--scale", choices=SCALES, help="how much to compute (default: MMTEACH_SCALE, or what there is)")
    train.set_defaults(call=_train)
    _grade_parser(commands)

    bench = commands.add_parser(
        "bench",
        help="measure what things cost, beside their rivals",
        description="Measure suites in one run each: "
        + ", ".join(SUITES)
        + ". Each prints its tables and writes them to "
        "benchmarks/SUITE.md and SUITE.json of the course. At scale smoke nothing is written unless --out says where.",
    )
    bench.add_argument("suites", nargs="*", metavar="SUITE", help=f"{', '.join(SUITES)} (default: all)")
    bench.add_argument("--json", type=Path, metavar="F", help="write the tables of all suites to this file as well")
    bench.add_argument("--out", type=Path, metavar="DIR", help="write here instead of to benchmarks: for a trial")
    bench.set_defaults(call=_bench)
    return parser


def _grade_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    grade = commands.add_parser(
        "grade",
        help="grade a class's notebooks in a sandbox",
        description="Grade a folder of strangers' notebooks: grades.csv, results.json, a feedback page each and a report "
        "on the class. Interrupted at any moment, the same command goes on where it was.",
    )
    grade.add_argument(
        "submissions", type=Path, metavar="SUBMISSIONS",
        help="nbgrader's folder (STUDENT/ASSIGNMENT/*.ipynb), a folder of STUDENT.ipynb, or a zip from Moodle or Canvas",
    )  # fmt: skip
    grade.add_argument(
        "--assignment", metavar="NAME", help="what was handed in: 03_fusion (default: all of an nbgrader tree)"
    )
    grade.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the folder of the gradebook and the results"
    )
    grade.add_argument(
        "--only", action="append", default=[], metavar="STUDENT", help="grade this student alone (repeatable)"
    )
    grade.add_argument("--regrade", action="store_true", help="grade again what is graded, on the same inputs")
    grade.add_argument("--workers", type=int, default=0, metavar="N", help="processes at a time (default: one a core)")
    grade.add_argument("--cluster", metavar="ADDRESS", help="a Dask scheduler whose workers grade: tcp://HOST:8786")
    grade.add_argument(
        "--level",
        choices=("full", "reduced", "none"),
        default="full",
        help="the least sandbox that is accepted (default full)",
    )
    grade.add_argument(
        "--time-limit",
        type=float,
        metavar="S",
        help="seconds a task may take (default: what the task says, 30 to load)",
    )
    grade.add_argument(
        "--marks", type=Path, metavar="F", help="to_mark.csv with the points of open questions filled in"
    )
    grade.add_argument(
        "--due",
        default="",
        metavar="DATE",
        help="2026-11-30T23:59, or with +01:00 behind it (else UTC): days after it are a column; remembered",
    )
    grade.add_argument(
        "--seed", type=int, metavar="N", help="of the inputs (default: drawn once, kept in the gradebook)"
    )
    grade.add_argument(
        "--source",
        type=Path,
        metavar="PATH",
        help="the instructor's notebook, or the folder it is in (default: this course's)",
    )
    grade.set_defaults(call=_grade)


def _grade(args: argparse.Namespace) -> int:
    from mmteach.grading import front

    names = vars(args) | {"only": tuple(args.only)}
    return front.run(front.Asked(**{name: value for name, value in names.items() if name not in ("call", "command")}))


def _lab(args: argparse.Namespace) -> int:
    from mmteach.course import lab, paths

    return lab.lab(paths.find_course(), args.port, not args.no_browser)


def _run(args: argparse.Namespace) -> int:
    from mmteach.course import paths, run

    return run.run(paths.find_course(), args.chapters, args.folder, args.json, args.html)


def _doctor(args: argparse.Namespace) -> int:
    from mmteach import doctor

    return doctor.run(args.json)


def _data(args: argparse.Namespace) -> int:
    from mmteach.data import cards

    width = _width()
    if args.what != "show":
        print(cards.table(width))
        return 0
    one = cards.card(args.name)
    print(cards.page(one, width))
    if args.out:
        import matplotlib

        matplotlib.use("agg")
        print(f"\nSamples: {cards.draw(one, args.out)}")
    elif one.sample:
        print(f"\nA picture of samples: mmteach data show {one.name} --out {one.name}.png")
    return 0


def _check(args: argparse.Namespace) -> int:
    if not args.notebook and not args.progress:
        raise ValueError("which notebook? For example: mmteach check exercises/03_fusion.ipynb")
    from mmteach import exercises
    from mmteach.exercises import progress, submission

    code = submission.check(args.notebook, _width(), args.json) if args.notebook else 0
    if args.progress:
        print(progress.table(exercises.tasks()))
    return code


def _build(args: argparse.Namespace) -> int:
    from mmteach.course import build, paths

    course = paths.find_course()
    if args.handout:
        from mmteach.course import handout

        return handout.handout(course, args.chapters, args.handout, args.seed)
    if args.otter:
        from mmteach.course import otter

        return otter.write(course, args.chapters, args.otter)
    if args.check:
        return build.check(course, args.chapters)
    return build.build(course, args.chapters, args.force)


def _verify(args: argparse.Namespace) -> int:
    from mmteach.course import paths, verify

    return verify.verify(paths.find_course(), args.chapters, args.seeds, args.json)


def _train(args: argparse.Namespace) -> int:
    from mmteach import recipes
    from mmteach.claims import seeds
    from mmteach.training import parallel

    if not args.name:
        column = 2 + max(len(one.name) for one in recipes.recipes())
        for one in recipes.recipes():
            name = one.name.ljust(column)
            print(textwrap.fill(one.says, _width(), initial_indent=name, subsequent_indent=" " * column))
        return 0
    if args.scale:
        os.environ["MMTEACH_SCALE"] = args.scale
    if args.seeds < 1:
        raise ValueError(f"--seeds must be at least 1, got {args.seeds}")
    recipes.make(args.name, seeds(args.seeds), args.out, args.resume)
    parallel.stop()
    return 0


def _bench(args: argparse.Namespace) -> int:
    from mmteach import bench
    from mmteach.claims import scale
    from mmteach.course import paths

    # Seconds at smoke scale prove nothing: they must not take the place of what was measured.
    folder = args.out or (None if scale() == "smoke" else paths.find_course().root / "benchmarks")
    return bench.run(args.suites, folder, args.json)


if __name__ == "__main__":
    sys.exit(main())
