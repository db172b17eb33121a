"""pyproject.toml, requirements.lock, environment.yml and Colab's lists say the same."""

import re
import tomllib
from pathlib import Path

import pytest
import rattler
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CORE = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
EXTRAS = {
    name: [Requirement(line) for line in lines]
    for group in (PROJECT["project"]["optional-dependencies"], PROJECT["dependency-groups"])
    for name, lines in group.items()
}
EVERYTHING = [*CORE, *(requirement for lines in EXTRAS.values() for requirement in lines)]

# conda-forge's names where they are not PyPI's, and what it does not have.
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "soundfile": "pysoundfile"}
ONLY_ON_PYPI = {"espeakng-loader"}


def pinned(path):
    """name → [(version, marker)] of a file of pins."""
    pins = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", " ")):
            requirement = Requirement(line.removesuffix("\\").strip())
            (specifier,) = requirement.specifier
            assert specifier.operator == "==", line
            pins.setdefault(canonicalize_name(requirement.name), []).append((specifier.version, requirement.marker))
    return pins


LOCK = pinned(ROOT / "requirements.lock")


def test_pyproject_holds_lower_bounds_only():
    bounds = {
        str(requirement): [specifier.operator for specifier in requirement.specifier] for requirement in EVERYTHING
    }
    assert [name for name, operators in bounds.items() if operators != [">="]] == []
    assert not any(requirement.url for requirement in EVERYTHING)


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_the_lock_satisfies_pyproject_on_every_python_and_system(python, system):
    here = default_environment() | {
        "python_version": python,
        "python_full_version": f"{python}.5",
        "sys_platform": system,
        "platform_system": {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[system],
        "platform_machine": {"linux": "x86_64", "darwin": "arm64", "win32": "AMD64"}[system],
    }
    missing = []  # what these are is put right by `make lock`
    for requirement in EVERYTHING:
        pins = LOCK.get(canonicalize_name(requirement.name), [])
        versions = [version for version, marker in pins if marker is None or marker.evaluate(here)]
        if len(versions) != 1 or not requirement.specifier.contains(versions[0], prereleases=True):
            missing.append(f"{requirement}: {versions}")
    assert missing == []


def test_every_pin_of_the_lock_has_a_hash_and_none_a_url():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text and " @ " not in text and not re.search(r"^\s*-(?!-hash=)", text, re.MULTILINE)
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert len(blocks) > 100
    for block in blocks:
        pin, *hashes = block.splitlines()
        assert re.match(r"[\w.-]+==\S+", pin)
        assert hashes and all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in hashes), pin


def conda():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    from_pip = next(line["pip"] for line in environment["dependencies"] if isinstance(line, dict))
    return environment, [line for line in environment["dependencies"] if isinstance(line, str)], from_pip


def test_the_conda_environment_takes_nothing_but_conda_forge():
    environment, _, from_pip = conda()
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    assert from_pip[-1] == "-e ."


def test_every_conda_spec_parses_and_has_pyprojects_bound():
    _, lines, from_pip = conda()
    specs = {}
    for line in lines:
        spec = rattler.MatchSpec(line)  # raises where conda could not read it either
        assert spec.name is not None and spec.name.normalized == line.split(">=")[0]
        specs[spec.name.normalized] = str(spec.version) if spec.version else ""
    assert specs.pop("python") == PROJECT["project"]["requires-python"]
    assert specs.pop("pip") == ""
    expected = {
        CONDA_NAMES.get(requirement.name, requirement.name): str(requirement.specifier)
        for requirement in [*CORE, *EXTRAS["lab"], *EXTRAS["teach"]]
        if requirement.name not in ONLY_ON_PYPI
    }
    assert specs == expected
    assert set(from_pip[:-1]) == {str(requirement) for requirement in CORE if requirement.name in ONLY_ON_PYPI}


def test_binder_installs_the_pinned_versions_into_a_python_that_may_be():
    channels, (python, installer) = yaml.safe_load((ROOT / ".binder" / "environment.yml").read_text()).values()
    assert channels == ["conda-forge", "nodefaults"] and installer == "uv"
    assert SpecifierSet(PROJECT["project"]["requires-python"]).contains(python.removeprefix("python="))
    steps = (ROOT / ".binder" / "postBuild").read_text()
    assert "--require-hashes -r requirements.lock" in steps and "--no-deps" in steps and "-e ." in steps


@pytest.mark.parametrize("runtime", sorted((ROOT / "tests" / "colab").glob("constraints-*.txt")), ids=lambda p: p.stem)
def test_colab_keeps_every_package_it_has(runtime):
    has = pinned(runtime)
    replaced = []
    for requirement in CORE:
        for version, _ in has.get(canonicalize_name(requirement.name), []):
            if not requirement.specifier.contains(version, prereleases=True):
                replaced.append(f"{requirement} would replace {version}")
    assert replaced == []
    assert len([r for r in CORE if canonicalize_name(r.name) in has]) >= 12  # the list was read, and is Colab's


def test_the_version_is_written_once_more_and_the_same():
    import mmteach

    assert mmteach.__version__ == PROJECT["project"]["version"]
    assert Version(mmteach.__version__) and SpecifierSet(PROJECT["project"]["requires-python"]).contains("3.11")
