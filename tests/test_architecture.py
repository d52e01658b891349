"""The way of the imports is the way of the data; one door for each heavy library; nothing hidden inside a step."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import recommender

ROOT = Path(recommender.__file__).parent
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
STEPS = (
    *("articles", "formats", "reading", "content", "terms", "counting", "models", "embedding", "transformer", "index"),
    *("candidates", "products", "evidence", "scoring", "linking", "rules", "overruling", "history", "wording", "ranking"),
)
PIPELINE = [f"pipeline/{step}.py" for step in STEPS]

DOORS = {
    "faiss": {"pipeline/index.py"},
    "sklearn": {"pipeline/embedding.py"},
    "scipy.optimize": {"judging/learning.py"},
    "sentence_transformers": {"pipeline/transformer.py"},
    "torch": {"pipeline/transformer.py"},
    "transformers": {"pipeline/transformer.py"},
    "huggingface_hub": {"pipeline/transformer.py"},
    "selectolax": {"pipeline/content.py"},
    "pyarrow": {"pipeline/formats.py"},
    "filelock": {"storage/claiming.py", "web/tree.py"},
    "defusedxml": {"sources/wxr.py", "sources/sitemaps.py"},
    "feedparser": {"sources/feeds.py"},
    "trafilatura": {"sources/pagetext.py"},
    "yaml": {"sources/markdown.py"},
    "markdown_it": {"sources/markdown.py"},
    "httpcore2": {"sources/http.py", "sources/connections.py"},
    "typer": {"cli.py", "shell.py", *(module for module in MODULES if module.startswith("commands/"))},
    "rich": {"progress.py"},
    "sqlite3": {"storage/file.py", "storage/damage.py", "writing/writer.py", "writing/records.py"},
    "starlette": {"web/desk.py", "web/guard.py"},
    "jinja2": {"web/desk.py"},
    "uvicorn": {"web/server.py", "web/connections.py", "commands/desk.py"},
    "prometheus_client": {"web/application.py"},
}
"""Library -> the modules that may import it; of sqlite3 all but the first for its errors and the type of a connection only."""

FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv"}

CLOCK = {
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now", "datetime.date.today"),
    *("time.time", "time.time_ns", "time.monotonic", "time.perf_counter", "time.localtime", "time.gmtime"),
}
ENVIRONMENT = {"os.environ", "os.getenv", "os.environb", "os.getcwd", "os.getpid", "Path.cwd", "Path.home"}
CHANCE = {"random", "secrets", "uuid", "np.random", "numpy.random", "os.urandom"}

CHANCE_OF_LIBRARIES = {"TruncatedSVD", "KMeans", "MiniBatchKMeans", "PCA", "LogisticRegression", "default_rng", "shuffle"}


@cache
def tree(module: str) -> ast.Module:
    """The syntax of a module."""
    return ast.parse((ROOT / module).read_text(encoding="utf-8"), module)


def is_type_checking(node: ast.AST) -> bool:
    """Whether this is `if TYPE_CHECKING:`."""
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def nodes(module: str, *, typing: bool = False) -> Iterator[ast.AST]:
    """All nodes of a module; those that only a type checker sees are left out unless `typing`."""
    waiting: list[ast.AST] = [tree(module)]
    while waiting:
        node = waiting.pop()
        yield node
        if is_type_checking(node) and not typing:
            waiting.extend(node.orelse)  # type: ignore[attr-defined]
        else:
            waiting.extend(ast.iter_child_nodes(node))


def imports(module: str, *, typing: bool = False) -> set[str]:
    """The full names of what a module imports, anywhere in it: `recommender.storage.store.Store`, `numpy`."""
    package = ["recommender", *module.split("/")[:-1]]
    found = set()
    for node in nodes(module, typing=typing):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{name}.{alias.name}" for alias in node.names}
    return found


def ours(module: str) -> set[str]:
    """The modules of this package that a module imports, as paths."""
    found = set()
    for name in imports(module):
        parts = name.split(".")
        if parts[0] == "recommender":
            paths = ["/".join(parts[1:length]) + ".py" for length in range(2, len(parts) + 1)]
            found |= {path for path in paths if path in MODULES} or {"__init__.py"}
    return found


def names_used(module: str) -> set[str]:
    """Every dotted name in a module, each beginning of it included: `os.environ.get` is also `os.environ`."""
    found = set()
    for node in nodes(module):
        if isinstance(node, ast.Name | ast.Attribute):
            name = ast.unparse(node)
            if re.fullmatch(r"[\w.]+", name):
                found |= {".".join(name.split(".")[:length]) for length in range(1, name.count(".") + 2)}
    return found | imports(module)


def test_the_documented_steps_are_the_steps() -> None:
    """The order that these tests hold is an order of all modules of the pipeline."""
    assert sorted(PIPELINE) == [module for module in MODULES if module.startswith("pipeline/") and "__init__" not in module]


@pytest.mark.parametrize("module", PIPELINE)
def test_a_step_imports_only_errors_arrays_and_steps_before_it(module: str) -> None:
    """Data flows one way. What only a type checker imports does not count; embedding loads transformer by name, on demand."""
    allowed = {"errors.py", "distinct.py", "growing.py", *PIPELINE[: PIPELINE.index(module)]}
    if module == "pipeline/embedding.py":
        allowed.add("pipeline/transformer.py")
    assert ours(module) <= allowed


BOTTOM = ["errors.py", "answers.py", "reports.py", "evaluation.py", "distinct.py", "growing.py", "parallel.py", "progress.py"]


@pytest.mark.parametrize("module", BOTTOM)
def test_what_stands_at_the_bottom_imports_nothing_of_ours(module: str) -> None:
    """Errors, answers, reports and measures can be used anywhere."""
    assert ours(module) == set()


PACKAGES = ["pipeline", "storage", "archives", "writing", "upkeep"]


@pytest.mark.parametrize("module", [module for module in MODULES if module.split("/")[0] in PACKAGES])
def test_a_package_imports_only_packages_before_it(module: str) -> None:
    """From articles to what is written of them there is one way; nothing of it knows of the web, of commands or of judging."""
    package = module.split("/")[0]
    allowed = {*BOTTOM, "__init__.py", *(f"{name}/" for name in PACKAGES[: PACKAGES.index(package) + 1])}
    assert {needed.split("/")[0] + "/" if "/" in needed else needed for needed in ours(module)} <= allowed


def test_no_two_modules_import_each_other() -> None:
    """The imports of the package make no circle; the front door, which imports by name, is left out."""
    left = {module: ours(module) - {module, "__init__.py"} for module in MODULES if module != "__init__.py"}
    while free := [module for module, needed in left.items() if not needed & set(left)]:
        for module in free:
            del left[module]
    assert sorted(left) in ([], ["pipeline/embedding.py", "pipeline/transformer.py"])


@pytest.mark.parametrize("library", DOORS)
def test_a_heavy_library_has_one_door(library: str) -> None:
    """Who wants to change a library changes one module."""
    users = {module for module in MODULES if any(f"{name}.".startswith(f"{library}.") for name in imports(module))}
    assert users <= DOORS[library]
    assert users


def test_only_the_store_opens_a_database() -> None:
    """Where and how the file is opened is known in one place."""
    assert [module for module in MODULES if "sqlite3.connect" in names_used(module)] == ["storage/file.py"]


@pytest.mark.parametrize("module", MODULES)
def test_no_module_runs_what_it_reads(module: str) -> None:
    """No pickle in any form, no eval, no shell."""
    assert not {name.split(".")[0] for name in imports(module)} & FORBIDDEN_MODULES
    called = {ast.unparse(node.func) for node in nodes(module) if isinstance(node, ast.Call)}
    assert not called & FORBIDDEN_CALLS
    for node in nodes(module):
        if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
            assert not (node.arg in {"shell", "allow_pickle", "trust_remote_code"} and node.value.value is True)


@pytest.mark.parametrize("module", PIPELINE)
def test_a_step_reads_no_clock_no_environment_and_no_chance(module: str) -> None:
    """What comes out follows from what goes in. One exception: where sentence-transformers keeps its downloads."""
    used = names_used(module)
    assert not used & CLOCK
    assert not used & CHANCE
    if module == "pipeline/transformer.py":
        read = [ast.unparse(node) for node in nodes(module) if isinstance(node, ast.Call) and "environ" in ast.unparse(node.func)]
        assert read == ["os.environ.get('SENTENCE_TRANSFORMERS_HOME')"]
        assert sum(isinstance(node, ast.Attribute) and node.attr == "environ" for node in nodes(module)) == 1
        used -= ENVIRONMENT
    assert not used & ENVIRONMENT


@pytest.mark.parametrize("module", PIPELINE)
def test_chance_of_a_library_is_seeded(module: str) -> None:
    """Whatever takes a random state is given a number."""
    for node in nodes(module):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in CHANCE_OF_LIBRARIES:
            seeds = [keyword.value for keyword in node.keywords if keyword.arg in {"random_state", "seed"}]
            assert seeds
            assert all(isinstance(seed, ast.Constant) and isinstance(seed.value, int) for seed in seeds)


def test_the_table_of_modules_names_every_module() -> None:
    """The docstring of the package lists exactly the modules that there are."""
    listed = set(re.findall(r"[\w/]+\.py\b", recommender.__doc__ or ""))
    assert listed == {module for module in MODULES if not module.endswith("__init__.py")}


def test_the_table_of_modules_is_in_the_order_of_the_imports() -> None:
    """No step stands in the table above one that it imports; embedding loads transformer on demand."""
    listed = [path for path in re.findall(r"[\w/]+\.py\b", recommender.__doc__ or "") if path in MODULES]
    place = {module: number for number, module in enumerate(listed)}
    late = {
        (module, needed)
        for module in listed
        for needed in ours(module) & set(PIPELINE)
        if module in PIPELINE and place[needed] > place[module]
    }
    assert late <= {("pipeline/embedding.py", "pipeline/transformer.py")}


@pytest.mark.parametrize("module", MODULES)
def test_every_module_begins_with_its_place(module: str) -> None:
    """A docstring says what a module is for."""
    assert ast.get_docstring(tree(module))
