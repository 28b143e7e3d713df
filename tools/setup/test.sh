#!/usr/bin/env bash
# npm test [-- PART...]   PART: lint unit integration e2e campaigns. All of them without arguments.
# Sets up what is missing, builds, runs the parts; each prints its minutes; the last line is "N passed, N failed".
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
check_node
cd "$ROOT"
export ARCHIPELAGO_TOOLS="$TOOLS"
exec node tools/setup/run-tests.mjs "$@"
