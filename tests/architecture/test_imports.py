"""The design's directions, as tests: who may import whom, and what may not be imported early."""

import ast
import subprocess
import sys
from pathlib import Path

import seqrl

PACKAGE = Path(seqrl.__file__).parent

LEVELS = [
    {"errors", "progress", "plain", "seeds"},
    {"episodes"},
    {"tasks", "data", "tokens"},
    {"nets"},
    {"huggingface"},
    {"training", "planning"},
    {"agents"},
    {"evaluation", "policy", "video"},
    {"runs", "experiments"},
    {"report"},
    {"doctor", "speed"},
    {"cli", "__main__"},
]
"""Each level imports only its own and those above it in this list."""

HEAVY = {
    "torch",
    "gymnasium",
    "mujoco",
    "ray",
    "minari",
    "h5py",
    "numpy",
    "rich",
    "huggingface_hub",
    "transformers",
    "matplotlib",
    "pandas",
    "seaborn",
    "imageio",
}
LATE = HEAVY - {"numpy", "rich"}
"""Imported inside the function that needs them, never by importing one of our files."""

SUBCLASSES = {
    "data/action_log.py": {"gymnasium"},
    "huggingface/checkpoint.py": {"torch"},
    "huggingface/decision_transformer.py": {"torch"},
    "huggingface/gpt2.py": {"torch"},
    "huggingface/model.py": {"torch"},
    "huggingface/past.py": {"torch"},
    "huggingface/trajectory_transformer.py": {"torch"},
    "nets/attention.py": {"torch"},
    "nets/dropout.py": {"torch"},
    "nets/looking.py": {"torch"},
    "nets/model.py": {"torch"},
    "nets/perceptron.py": {"torch"},
    "nets/token_model.py": {"torch"},
    "nets/transformer.py": {"torch"},
    "planning/beam_search.py": {"torch"},
    "planning/beams.py": {"torch"},
    "planning/decoder.py": {"torch"},
    "planning/imagining.py": {"torch"},
    "planning/likely_search.py": {"torch"},
    "planning/live.py": {"torch"},
    "planning/sampling.py": {"torch"},
    "planning/worth.py": {"torch"},
    "speed/costs.py": {"torch"},
    "speed/dt.py": {"torch"},
    "speed/flops.py": {"torch"},
    "speed/playing.py": {"torch", "transformers"},
    "speed/published.py": {"torch", "transformers"},
    "speed/race.py": {"torch"},
    "speed/slow_planner.py": {"torch"},
    "speed/tt.py": {"torch"},
    "tokens/windows.py": {"torch"},
    "training/checkpoint.py": {"torch"},
    "training/device.py": {"torch"},
    "training/trainer.py": {"torch"},
}
"""Files that are made of a heavy package: they may import it early, and are themselves imported
late by all others."""


def _level(part: str) -> int:
    return next(i for i, level in enumerate(LEVELS) if part in level)


def _imports(tree: ast.AST) -> list[tuple[str, bool]]:
    """Every imported module, and whether the import happens when the file is imported."""
    found = []
    late = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef)
        or (isinstance(outer, ast.If) and ast.unparse(outer.test) == "TYPE_CHECKING")
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) not in late) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, id(node) not in late))
    return found


def test_nobody_climbs() -> None:
    """A lower level that imports a higher one turns the line into a knot."""
    for file in PACKAGE.rglob("*.py"):
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] == "__init__":
            continue
        for module, _ in _imports(ast.parse(file.read_text())):
            if module.startswith("seqrl."):
                other = module.split(".")[1]
                assert _level(other) <= _level(parts[0]), f"{file} imports {module}"


def test_tasks_and_data_do_not_turn_in_a_circle() -> None:
    """Tasks are facts and know nothing of where data comes from."""
    for file in (PACKAGE / "tasks").rglob("*.py"):
        modules = [module for module, _ in _imports(ast.parse(file.read_text()))]
        assert not [module for module in modules if module.startswith("seqrl.data")], file


def test_heavy_packages_are_imported_late() -> None:
    """`seqrl --help` and `seqrl score` must not wait for a simulator."""
    built_on = {f"seqrl.{name[:-3].replace('/', '.')}" for name in SUBCLASSES}
    for file in PACKAGE.rglob("*.py"):
        name = file.relative_to(PACKAGE).as_posix()
        late = LATE - SUBCLASSES.get(name, set()) | (set() if name in SUBCLASSES else built_on)
        for module, early in _imports(ast.parse(file.read_text())):
            heavy = module in late or module.split(".")[0] in late
            assert not (early and heavy), f"{file} imports {module} early"


def test_help_loads_nothing_heavy() -> None:
    """The bar itself: what `python -X importtime -m seqrl --help` shows."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "seqrl", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.split("\n")}
    assert "typer" in loaded, "importtime's output was not understood"
    assert not loaded & HEAVY - {"rich"}
    assert "seqrl doctor" in done.stdout
