# Every target makes .venv ready first, and again only when what it is made from has changed.

READY := .venv/ready
BIN   := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help setup lab run build test test-full lint lock book colab bench

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

$(READY): requirements.lock pyproject.toml tools/setup.sh
	@sh tools/setup.sh
	@$(BIN)/python tools/web_assets.py --optional

setup: $(READY) ## the environment in .venv: pinned versions, checked by their hashes
	@echo ".venv is ready"

lab: $(READY) ## JupyterLab on the course (more: make lab ARGS="--port 9000 --no-browser")
	@$(BIN)/mmteach lab $(ARGS)

run: $(READY) ## execute chapters without a browser (some: make run ARGS="00 03")
	@$(BIN)/mmteach run $(ARGS)

build: $(READY) ## sources -> notebooks, exercises and solutions, executed where they changed
	@$(BIN)/mmteach build $(ARGS)

# Two workers with one thread each: PyTorch's own threads would only fight over two cores.
test: $(READY) ## the whole suite, every notebook run at smoke scale: up to 10 minutes on 2 cores
	OMP_NUM_THREADS=1 MMTEACH_SCALE=smoke $(BIN)/python -m pytest -n 2 --dist loadfile -m "not full" $(ARGS)

test-full: $(READY) ## what takes longer: notebooks at real scale against their stored outputs, an offline run, compiling
	OMP_NUM_THREADS=1 MMTEACH_SCALE=laptop $(BIN)/python -m pytest -n 2 --dist loadfile -m full \
	  --nbval --nbval-current-env tests mmteach $(wildcard notebooks/*.ipynb exercises/*.ipynb solutions/*.ipynb) $(ARGS)

lint: $(READY) ## formatting, lint, types, and whether the notebooks follow from their sources
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mmteach build --check

# A version already in the file stays unless pyproject.toml rules it out; for newer ones: make lock ARGS=--upgrade
lock: ## renew requirements.lock from pyproject.toml
	$$(sh tools/setup.sh --uv) pip compile pyproject.toml --all-extras --group dev --group book --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet \
	  --output-file requirements.lock $(ARGS)

book: $(READY) ## the course as a web site, in book/_build/html
	@$(BIN)/python tools/web_assets.py
	$(BIN)/python -m sphinx -q -W --keep-going -b html book book/_build/html
	@echo "The site is ready: open book/_build/html/index.html"

# It makes an environment of its own, .colab, and so needs no .venv.
colab: ## every notebook as Colab would run it: its Python, its package versions (only the check: make colab ARGS=--dry-run)
	@python3 tools/colab.py $(ARGS)

bench: $(READY) ## every benchmark, into benchmarks/ (some: make bench ARGS="methods training"); leave the machine alone meanwhile
	$(BIN)/mmteach bench $(ARGS)
