#!/usr/bin/env bash
# build.sh [PROJECT...]   Incremental build by project references; everything without arguments. One at a time per clone.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"
build() { node node_modules/typescript/bin/tsc -b "$@" >&2 || fail "the build failed"; }
minutes "build" locked "clone-$(printf %s "$ROOT" | sha256sum | cut -c1-12)" build "$@"
