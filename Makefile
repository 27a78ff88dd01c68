# One-word commands. Work in a virtual environment of your own; asan, tsan and openmp each build
# into one under build/ and leave yours alone.
PYTHON ?= python3
# -P keeps this folder off Python's path: its pybp/ is the source, without the compiled modules.
PYTEST ?= $(PYTHON) -P -m pytest
BENCHMARK_OUT ?= build/benchmarks.json
CXX_SOURCES = $(shell find csrc tests -name '*.cpp' -o -name '*.h')

comma := ,
NATIVE_TESTS = tests/backends tests/kernels
THREAD_TESTS = $(NATIVE_TESTS) -k thread
# A sanitizer ends the process with its report on standard error: pytest must not hold that back.
SANITIZED_TESTS = $(NATIVE_TESTS) --capture=sys
# Where the compiler keeps a run-time library. A sanitizer's must be loaded before Python, and
# libstdc++ with it: the sanitizer looks up the functions that throw exceptions when it starts.
library = $(shell $(or $(CXX),c++) -print-file-name=$(1))

.PHONY: install test lint format bench asan tsan openmp neon clean

install:  ## build the package and install it with what the tests need
	$(PYTHON) -m pip install ".[test]"

test:  ## the tests, on the installed package
	$(PYTEST)

lint:  ## style, lint and types; needs pip install ".[lint]"
	ruff check
	ruff format --check
	mypy
	clang-format --dry-run -Werror $(CXX_SOURCES)

format:  ## rewrite all sources in the project's style
	ruff check --fix-only
	ruff format
	clang-format -i $(CXX_SOURCES)

bench:  ## native and NumPy side by side; the machine should be quiet
	@mkdir -p $(dir $(BENCHMARK_OUT))
	$(PYTEST) benchmarks --benchmark-json=$(BENCHMARK_OUT)

# $(call variant,NAME,CMAKE OPTION): a virtual environment build/NAME with the package built so.
define variant
	$(PYTHON) -m venv build/$(1)
	build/$(1)/bin/pip install --quiet ".[test]" -C build-dir=build/$(1)/cmake \
		-C cmake.build-type=Debug -C install.strip=false -C cmake.define.$(2)
endef

asan:  ## native tests under the address and undefined-behaviour sanitizers
	$(call variant,asan,PYBP_SANITIZE=address$(comma)undefined)
	LD_PRELOAD="$(foreach name,asan ubsan stdc++,$(call library,lib$(name).so))" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
		build/asan/bin/pytest $(SANITIZED_TESTS)

# NumPy's BLAS is not instrumented: one thread of it keeps its locks out of the picture. The
# sanitizer needs its own address ranges free, so the kernel may not choose addresses at random. A
# test forks after threads have run, which the sanitizer allows only when told so.
tsan:  ## native tests under the thread sanitizer
	$(call variant,tsan,PYBP_SANITIZE=thread)
	LD_PRELOAD="$(foreach name,tsan stdc++,$(call library,lib$(name).so))" \
		TSAN_OPTIONS="halt_on_error=1 die_after_fork=0" OPENBLAS_NUM_THREADS=1 \
		setarch -R build/tsan/bin/pytest $(SANITIZED_TESTS)

openmp:  ## the thread tests with OpenMP supplying the threads
	$(call variant,openmp,PYBP_OPENMP=ON)
	build/openmp/bin/pytest $(THREAD_TESTS)

neon:  ## the kernels for AArch64, cross-compiled and run under an emulator
	$(PYTEST) tests/kernels/test_neon.py

clean:  ## everything that was built here
	rm -rf build
