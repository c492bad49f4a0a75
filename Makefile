# The front door. What it opens is CMake (CMakePresets.json) and tools/.

PREFIX ?= /usr/local
JOBS ?= $(shell nproc)

.PHONY: demo test test-python test-pythons test-world bench bench-python install release format tidy clean help

demo: ## build the library and run examples/demo; and an asyncio program on asyncio and on cio, side by side
	@tools/setup.sh demo
	@$(MAKE) --no-print-directory release
	@build/release/examples/demo
	@echo
	@tools/python.sh demo

release: ## build the library and the examples, in build/release
	@cmake --preset release -DCMAKE_INSTALL_PREFIX=$(PREFIX) >/dev/null
	cmake --build --preset release -j $(JOBS)

test-python: ## the Python front's suites, on every CPython that the machine has
	@tools/setup.sh test
	@tools/test.sh python

test-pythons: ## the same on Debian's newer Pythons, in a chroot that debootstrap makes
	@tools/pythons-chroot.sh

test-world: ## the long suites of aiohttp, anyio and uvicorn on the Python front
	@tools/setup.sh test
	@tools/python.sh world

test: ## every check there is; "tools/test.sh dev" is the quick one
	@tools/setup.sh test
	@tools/test.sh

bench: ## measure
	@tools/setup.sh bench
	@cmake --preset release -DCIO_BENCH=ON
	@cmake --build --preset release -j $(JOBS)
	@build/release/bench/bench

bench-python: ## measure the Python front beside asyncio and other loops
	@tools/setup.sh bench
	@tools/python.sh bench

install: release ## install under PREFIX (/usr/local), below DESTDIR if given
	@cmake --install build/release --prefix $(PREFIX)

format: ## lay out the sources with clang-format
	@find include src tests examples bench -name '*.[ch]' | xargs clang-format -i

tidy: ## clang-tidy over src/
	@tools/test.sh tidy

clean: ## remove all that was built
	@rm -rf build

help: ## this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
