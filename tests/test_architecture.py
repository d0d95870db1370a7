"""The arrows of the design: who may import whom. Read from the sources, so that a lazy import counts as well."""

import ast
import sys
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "deepcheck"
FILES = sorted(PACKAGE.rglob("*.py"))

# What each part may import of the package; errors, registry, seeding and files are for everybody.
COMMON = {"errors", "registry", "seeding", "files"}
ARROWS = {
    "errors": set(),
    "registry": set(),
    "seeding": set(),
    "files": set(),
    "runtime": set(),
    "yaml_text": set(),
    "config": {"yaml_text"},
    "store": set(),
    "metrics": set(),
    "audio": set(),
    "plasticity": set(),
    "card": {"metrics"},
    "data": {"audio", "config"},
    "detectors": {"audio", "card", "plasticity"},
    "checkpoint": {"card", "detectors", "plasticity"},
    "engine": {
        "audio", "card", "checkpoint", "config", "data", "detectors", "metrics", "plasticity", "runtime", "store",
    },
    "scanner": {"audio", "checkpoint", "engine", "metrics"},
    "reports": {"audio", "metrics", "scanner"},
    "explain": {"audio", "detectors", "engine", "plots", "scanner"},
    "plots": set(),
}  # fmt: skip


def place(file):
    """The first part of a file's name below the package: `audio`, `config`, `__init__` ..."""
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(file):
    """Absolute names of all modules that the file imports, at its top or within functions."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide the arrows"
            # `from deepcheck import store` imports a module, `from deepcheck.store import home` does too.
            yield from (
                (f"{node.module}.{alias.name}" for alias in node.names) if node.module == "deepcheck" else [node.module]
            )


def own(file):
    """Parts of the package that the file imports, itself left out."""
    found = {name.split(".")[1] for name in imports(file) if name.startswith("deepcheck.")}
    return {part for part in found if (PACKAGE / part).is_dir() or (PACKAGE / f"{part}.py").is_file()} - {place(file)}


def foreign(file):
    """Packages of others that the file imports."""
    found = {name.split(".")[0] for name in imports(file)}
    return {name for name in found if name not in sys.stdlib_module_names and name != "deepcheck"}


def test_the_walk_sees_lazy_imports_too():
    # Otherwise all that follows would be worth little.
    assert "engine" in own(PACKAGE / "cli" / "scan.py") | own(PACKAGE / "cli" / "conduct.py")
    assert {"typer", "rich"} <= foreign(PACKAGE / "cli" / "console.py") | foreign(PACKAGE / "cli" / "app.py")
    assert {"reports", "scanner"} <= own(PACKAGE / "cli" / "scan.py")
    assert "store" in own(PACKAGE / "engine" / "model.py")  # from deepcheck import store
    assert len(FILES) > 60


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_arrows_run_downwards(file):
    part = place(file)
    if part in ("cli", "__init__", "__main__"):
        return
    assert part in ARROWS, f"{part} is new: say in this table what it may import"
    assert own(file) <= ARROWS[part] | COMMON


def test_nothing_but_the_entry_point_imports_the_command_line():
    assert {place(file) for file in FILES if "cli" in own(file)} == {"__main__"}


def test_no_circles():
    graph = defaultdict(set)
    for file in FILES:
        graph[place(file)] |= own(file)
    done = set()

    def visit(part, above):
        assert part not in above, " -> ".join([*above[above.index(part) :], part])
        if part not in done:
            for below in sorted(graph[part]):
                visit(below, [*above, part])
            done.add(part)

    for part in sorted(graph):
        visit(part, [])
    assert {"cli", "engine", "errors"} <= done


@pytest.mark.parametrize(
    ("package", "where"),
    [
        ("typer", {"cli"}),
        ("rich", {"cli", "reports/table.py"}),
        ("torchaudio", {"audio/torchaudio_import.py"}),
        ("av", {"audio"}),
        ("soxr", {"audio"}),
        ("transformers", {"detectors"}),
        ("huggingface_hub", {"detectors"}),
        ("platformdirs", {"store.py"}),
        ("yaml", {"cli", "config.py", "store.py", "yaml_text.py"}),
        ("matplotlib", {"plots"}),
        ("PIL", {"plots"}),
        ("peft", {"engine/lora.py"}),
        ("onnxruntime", {"engine/graph.py"}),
        ("jinja2", {"reports/html/__init__.py"}),
    ],
)
def test_where_a_dependency_may_be_imported(package, where):
    for file in FILES:
        if package in foreign(file):
            path = file.relative_to(PACKAGE)
            assert path.as_posix() in where or path.parts[0] in where, path


def test_metrics_are_numpy_alone():
    found = set().union(*(foreign(file) for file in FILES if place(file) == "metrics"))
    assert found == {"numpy"}


def test_what_is_imported_before_a_command_runs_is_light():
    # These stand at the top of what `deepcheck --help` imports.
    for name in ("__init__", "__main__", "errors", "registry", "seeding", "files", "yaml_text", "config", "store"):
        assert foreign(PACKAGE / f"{name}.py") <= {"yaml", "platformdirs"}, name


def test_no_pickle():
    for file in FILES:
        assert not {"pickle", "joblib", "dill", "shelve"} & {name.split(".")[0] for name in imports(file)}, file
        nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        used = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
        assert not {"torch.load", "torch.save", "np.load", "torch.hub", "yaml.unsafe_load"} & used, file


def calls(file):
    """(what is called, the call) of every call in the file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_nothing_that_is_read_can_run():
    read = []
    for file in FILES:
        for name, call in calls(file):
            keywords = {word.arg: ast.unparse(word.value) for word in call.keywords}
            assert name not in {"eval", "exec", "compile", "__import__"}, file
            assert keywords.get("trust_remote_code", "False") == "False", file
            assert name not in {"yaml.load", "yaml.full_load", "yaml.unsafe_load"}, file
            read.append(name)
    # Otherwise nothing was looked at.
    assert {"AutoFeatureExtractor.from_pretrained", "safe_open"} <= set(read)


def test_what_the_examples_load_is_weights_alone():
    files = [*(PACKAGE.parent / "examples").rglob("*.py"), *(PACKAGE.parent / "tests").rglob("*.py")]
    loads = [(file, call) for file in files for name, call in calls(file) if name in {"torch.load", "pickle.load"}]
    for file, call in loads:
        assert {word.arg: ast.unparse(word.value) for word in call.keywords}.get("weights_only") == "True", file
    assert loads


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_file_fits_in_the_head_and_says_what_it_is(file):
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 350
    assert ast.get_docstring(ast.parse(text)), "a module docstring says what the file is for"


def test_no_file_is_called_after_nothing():
    vague = {"utils", "util", "helpers", "helper", "manager", "common", "misc", "base_utils"}
    assert not {file.stem for file in FILES} & vague
