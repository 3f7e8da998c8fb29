# Two commands for newcomers: `make demo` and `make test`. Both set everything up in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PLUGINS := $(sort $(dir $(wildcard plugins/*/pyproject.toml)))
SOURCES := sphinx_framework plugins benchmarks examples tests
OUT ?= out/demo
SCHEMA := sphinx_framework/configs/pipeline.schema.json
# A package index that is slow, or away for a moment, fails nothing.
export PIP_RETRIES ?= 10
export PIP_TIMEOUT ?= 60
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1

.PHONY: install schema demo test check ray lint types imports template wheels bench docs format clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt requirements-no-deps.txt $(wildcard plugins/*/pyproject.toml)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade -c constraints.txt pip
	$(BIN)/python -m pip install --quiet -c constraints.txt torch hatchling editables
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -e '.[dev]' $(addprefix -e ,$(PLUGINS))
	$(BIN)/python -m pip install --quiet --no-deps -r requirements-no-deps.txt
# Kernels of the CPU rasterizer and of the built-in scenes are compiled once, and stay on disk.
	$(BIN)/sphinx-nvs warm --config lite --scene procedural:demo
	$(BIN)/python -c "from sphinx_framework_mvsplat.cpu_sweep import warmed; warmed()"
	$(BIN)/sphinx-nvs schema > $(SCHEMA)
	touch $@

# What the `#:schema` lines of the shipped pipelines name: editors then know every role and option.
schema: install
	$(BIN)/sphinx-nvs schema > $(SCHEMA)

demo: install
	$(BIN)/sphinx-nvs demo --out $(OUT)

# One torch thread per worker: two workers with two threads each would fight over two cores.
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not compile and not gpu and not weights and not ray" -n 2 --dist loadfile -q \
		--ignore tests/road --ignore tests/full_size --ignore tests/serve/browser --ignore tests/view
# Tracing takes a minute, and fills the process with what it traced.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m compile tests/executors tests/kit
# A browser's driver leaves an event loop behind: processes of their own (skipped without Chromium).
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/serve/browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/view
# An emulated device, and steps counted at official size: together in under two minutes. In processes of
# their own: autograd counts its devices once, before the emulated one may be there.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -q tests/road tests/full_size

# Not part of `check`: Ray is a heavy extra, and its cluster takes half a minute to start.
$(VENV)/.ray: $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[ray]'
	touch $@

ray: $(VENV)/.ray
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/ray

lint: install
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/codespell sphinx_framework plugins docs README.md CONTRIBUTING.md CHANGELOG.md

types: install
	$(BIN)/mypy sphinx_framework $(foreach p,$(PLUGINS),$(wildcard $(p)src/*)) examples

imports: install
	$(BIN)/lint-imports

template: install
	sh examples/plugin_template/check_in_clean_environment.sh $(BIN)/python

wheels: install
	sh examples/wheels_in_clean_environment.sh $(BIN)/python

check: lint types imports test template wheels

bench: install
	$(BIN)/python benchmarks/engine_overhead.py
	$(BIN)/python benchmarks/step_cost.py --json out/step_cost.json
	$(BIN)/sphinx-nvs evaluate --config lite --scenes procedural:report/0-39 --qualities 0.95 \
		--modes coarse,fine,selective --out out/evaluation

docs: install
	$(BIN)/python docs/make_reference.py
	$(BIN)/mkdocs build --strict --quiet

format: install
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

clean:
	rm -rf $(VENV) out build dist
