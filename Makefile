# make up     set up, build, start the shop, send an order, show its trace
# make test   set up, then run every test
# make help   the rest
#
# PORT=9000 make up     another port for the gateway
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Exclusivity checks off is our own release build's choice: the gateway takes 19,000 instructions for a small request without them, and
# 36,700 with them (Benchmarks/README.md).
RELEASE := -c release -Xswiftc -enforce-exclusivity=unchecked
MESH := .build/release/mesh

.PHONY: help setup build up down test instructions check fuzz format lint clean

help:
	@echo "make up      set up, build in release, start the shop, send an order, print its trace"
	@echo "make down    stop the shop"
	@echo "make test    set up, build in debug, run every test"
	@echo "make instructions  build in release, and hold what a request costs against what is recorded"
	@echo "make check   what takes longer: format, thread sanitizer, large simulations, long fuzzing"
	@echo "make fuzz    libFuzzer on the HTTP codec; SECONDS=600 make fuzz for ten minutes each"
	@echo "make build   set up and build in release"
	@echo "make format  format the sources"

setup:
	@scripts/setup

build: setup
	swift build $(RELEASE)

up: build
	@scripts/up

down:
	@$(MESH) down

test:
	@scripts/setup tests
	@scripts/python
	swift build --build-tests
	@scripts/test

instructions:
	@scripts/setup check
	swift build $(RELEASE)
	Benchmarks/instructions

check:
	@scripts/setup check
	@scripts/python
	@scripts/check

fuzz:
	@scripts/fuzz $(SECONDS)

format:
	@git ls-files -z '*.swift' | xargs -0 swift format format --in-place --configuration .swift-format --parallel

lint:
	@git ls-files -z '*.swift' | xargs -0 swift format lint --strict --configuration .swift-format --parallel

clean:
	rm -rf .build .build-*
