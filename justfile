# The commands of this project. `.venv/bin/just` lists them; CONTRIBUTING.md explains them.

export PATH := justfile_directory() / ".venv/bin" + ":" + env("PATH")

# what there is
_default:
    @just --list --unsorted

# everything that must pass before a change is handed in; the tests come last
check: lint types imports test

# style and format, changes nothing
lint:
    ruff check .
    ruff format --check .

# mypy --strict over the package and its tests
types:
    mypy

# who may import whom
imports:
    lint-imports --no-logo

# the tests on two cores; arguments go to pytest
test *ARGS:
    pytest -q -n 2 {{ ARGS }}

# repair what ruff can repair
fix:
    ruff check --fix .
    ruff format .

# which requirement is proven by which tests, and which is open
requirements *ARGS:
    @pytest -qq --collect-only -p no:randomly --requirements {{ ARGS }}

# the documents against the program
docs:
    pytest -q tests/test_docs.py

# speed and memory, on this machine
bench *ARGS:
    python -m benchmarks {{ ARGS }}

# the long runs that the gate leaves out
soak *ARGS:
    pytest -q -m soak --timeout=0 {{ ARGS }}

# the contract tests of one connector: just contract smtp
contract NAME *ARGS:
    pytest -q -k "contract and {{ replace(NAME, '-', '_') }}" {{ ARGS }}

# a new connector package beside this checkout: just new-connector postbox
new-connector NAME:
    automate plugins new connector {{ NAME }}
