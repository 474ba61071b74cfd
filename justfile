# The commands of this project. `.venv/bin/just` lists them; CONTRIBUTING.md explains them.

export PATH := justfile_directory() / ".venv/bin" + ":" + env("PATH")

# what there is
_default:
    @just --list --unsorted

# everything that must pass before a change is handed in; the tests come last
check: connectors lint types imports test

# install the connector packages of this checkout that are not installed yet
connectors:
    #!/usr/bin/env bash
    set -euo pipefail
    shopt -s nullglob
    missing=()
    for folder in connectors/libax-connector-*/; do
        name=$(basename "$folder")
        pip show -q "$name" 2>/dev/null || missing+=(-e "$folder[test]")
    done
    if ((${#missing[@]})); then pip install -q --no-build-isolation "${missing[@]}"; fi

# style and format, changes nothing
lint:
    ruff check .
    ruff format --check .

# mypy --strict over the package, its tests and the connectors
types:
    mypy
    mypy connectors/*.py connectors/*/src

# who may import whom
imports:
    lint-imports --no-logo
    python connectors/imports.py

# the tests on two cores; arguments go to pytest
test *ARGS:
    pytest -q -n 2 {{ ARGS }}

# repair what ruff can repair
fix:
    ruff check --fix .
    ruff format .

# which requirement is proven by which tests; "just requirements open" lists what none proves
requirements WHAT="all":
    @pytest -qq --collect-only -p no:randomly --requirements={{ WHAT }}

# write docs/connectors.md from the code, then hold the documents against the program
docs: connectors
    python connectors/matrix.py
    pytest -q tests/test_docs.py tests/test_connectors.py

# speed and memory, on this machine
bench *ARGS:
    python -m benchmarks {{ ARGS }}

# the long runs that the gate leaves out
soak *ARGS:
    pytest -q -m soak --timeout=0 {{ ARGS }}

# small changes to the state machine, one at a time: which of them does no test notice? just mutate retry errors
mutate *ARGS:
    nice -n 19 python -m tests.mutate {{ ARGS }}

# the contract tests of one connector or model: just contract webhook
contract NAME *ARGS:
    #!/usr/bin/env bash
    set -euo pipefail
    package="connectors/libax-connector-{{ NAME }}/tests/test_contract.py"
    if [[ -f $package ]]; then
        pytest -q "$package" {{ ARGS }}
    else
        pytest -q tests/testing/test_builtin_contracts.py -k "{{ replace(NAME, '-', '') }}" {{ ARGS }}
    fi

# a new connector package beside this checkout: just new-connector postbox
new-connector NAME:
    automate plugins new connector {{ NAME }}
