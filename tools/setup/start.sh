#!/usr/bin/env bash
# npm start: sets up what is missing, then runs the standalone in this process.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"
tools/setup/dependencies.sh
tools/setup/nats-server.sh
tools/setup/build.sh apps/standalone tools
export UV_THREADPOOL_SIZE="${UV_THREADPOOL_SIZE:-32}"
export ARCHIPELAGO_TOOLS="$TOOLS"
exec node --enable-source-maps apps/standalone/dist/main.js
