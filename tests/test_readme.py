"""The README: its commands and its Python run as written, and what it shows of the demo is what the demo shows.

`python tests/test_readme.py` writes the output of the demo and of an evaluation into the README anew.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
SAMPLE = Path(str(resources.files("recommender") / "sample" / "articles.jsonl"))
BLOCK = re.compile(r"(?:<!-- (?P<mark>[^\n]*) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)```\n", re.DOTALL)
RUN_WITH = {"sh": ["bash", "-eu"], "console": ["bash", "-eu"], "python": [sys.executable]}


def blocks() -> list[tuple[str, str, str]]:
    """(mark, language, text) of every block."""
    return [
        (found["mark"] or "", found["language"], found["text"]) for found in BLOCK.finditer(README.read_text(encoding="utf-8"))
    ]


def demo_output() -> str:
    """What `recommender demo` prints on 100 columns, up to what to type next."""
    command = [sys.executable, "-c", "from recommender.cli import main; main()", "demo", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "100"})
    return done.stdout.split("WHAT TO TYPE NEXT")[0].strip() + "\n"


def evaluation_output() -> str:
    """What `recommender evaluate gold.csv` prints of the sample newsroom."""
    run = [sys.executable, "-c", "from recommender.cli import main; main()"]
    with tempfile.TemporaryDirectory() as folder:
        index = ["--index", f"{folder}/index", "--quiet"]
        subprocess.run([*run, "build", str(SAMPLE), *index], check=True)
        command = [*run, "evaluate", str(SAMPLE.with_name("gold.csv")), *index]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_the_commands_of_the_readme_run_as_written(tmp_path: Path) -> None:
    """Block after block in one folder with the sample as articles.jsonl; a block marked 'not run' has a reason."""
    rows = SAMPLE.read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "articles.jsonl").write_text("".join(rows), encoding="utf-8")
    (tmp_path / "today.jsonl").write_text("".join(rows[-5:]), encoding="utf-8")
    shutil.copy(SAMPLE.with_name("gold.csv"), tmp_path)
    (tmp_path / "draft.txt").write_text("Kim sees off Putin\n\nThe Russian president left Pyongyang.\n", encoding="utf-8")
    program = tmp_path / "bin" / "recommender"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom recommender.cli import main\nmain()\n")
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment.pop("RECOMMENDER_INDEX", None)
    ran = 0
    for mark, language, text in blocks():
        if language not in RUN_WITH or re.fullmatch(r"not run: \w.+", mark):
            continue
        done = subprocess.run(
            [*RUN_WITH[language], "-c", text], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        assert done.stdout
        ran += 1
    assert ran == 8  # seven of shell, one of Python
    assert len((tmp_path / "lists.tsv").read_text(encoding="utf-8").splitlines()) == len(rows)


@pytest.mark.slow
def test_the_readme_shows_what_the_demo_shows() -> None:
    """Word for word but for percentages; `python tests/test_readme.py` brings the README up to date."""
    (shown,) = (text for mark, _, text in blocks() if mark == "output of: recommender demo")
    chance = re.compile(r"(under |over )?\d+%")
    assert chance.sub("%", shown).split() == chance.sub("%", demo_output()).split()


@pytest.mark.slow
def test_the_readme_shows_what_an_evaluation_shows() -> None:
    """Word for word but for numbers, and what is above is above."""
    (shown,) = (text for mark, _, text in blocks() if mark == "output of: recommender evaluate gold.csv")
    number = re.compile(r"[01]?\.\d+")
    assert number.sub("#", shown).split() == number.sub("#", evaluation_output()).split()


def test_the_readme_names_every_command_exit_code_and_field() -> None:
    """What the command line and the article know, the README tells."""
    from recommender.cli import app
    from recommender.pipeline.articles import FIELD_NAMES
    from recommender.pipeline.rules import FORMS

    text = README.read_text(encoding="utf-8")
    for command in app.registered_commands:
        assert command.callback is not None
        assert f"recommender {command.callback.__name__}" in text
    for kind in FORMS:
        assert re.search(rf"`{kind} |rules {kind} |{kind} A B", text)
    for field, names in FIELD_NAMES.items():
        assert f"`{field}`" in text
        assert "id" in names or field != "id"
    assert re.findall(r"^\| (\d) \|", text, re.MULTILINE) == ["0", "1", "2", "3", "4"]


def test_the_other_names_of_fields_are_understood() -> None:
    """Each name in the last column of the table of fields belongs to a field of its row."""
    from recommender.pipeline.articles import field_named

    table = README.read_text(encoding="utf-8").split("## Article fields")[1].split("\n\n")[1]
    checked = 0
    for row in table.splitlines()[2:]:
        fields, _, others = (re.findall(r"`(\w+)`", cell) for cell in row.strip("|").split(" | "))
        for name in others:
            assert field_named(name) in fields, name
            checked += 1
    assert checked >= 15


def test_the_makefile_and_ci_agree() -> None:
    """CI runs `make test`, which runs ruff, mypy and all tests; neither names a network host."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "exec make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "://" not in makefile
    named = re.findall(r"://([^/\s\"'`:]+)", README.read_text(encoding="utf-8"))
    assert all(host.endswith(".example") for host in named), named
    make = shutil.which("make")
    if make is None:
        pytest.skip("there is no make here")
    planned = subprocess.run([make, "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [word in planned for word in ("ruff check", "mypy", "pytest\n")] == [True] * 3


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_an_older_python_is_refused_in_one_line(tmp_path: Path) -> None:
    """`make` with a Python that is too old, or none, says so and makes nothing."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "constraints.txt", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.1" && exit 0\nexit 1\n')
    old.chmod(0o755)
    for given, said in ((str(old), "is Python 3.9.1"), ("no-such-python", "no-such-python")):
        done = subprocess.run(["make", "demo", f"PYTHON={given}"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "Python 3.11 or newer is needed" in done.stderr.splitlines()[0]
        assert said in done.stderr.splitlines()[0]
        assert not (tmp_path / ".venv").exists()


if __name__ == "__main__":
    for command, output in (("demo", demo_output), ("evaluate gold.csv", evaluation_output)):
        mark = f"<!-- output of: recommender {command} -->\n```text\n"
        before, rest = README.read_text(encoding="utf-8").split(mark)
        _, after = rest.split("```\n", 1)
        README.write_text(f"{before}{mark}{output()}```\n{after}", encoding="utf-8")
