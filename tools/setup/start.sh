#!/usr/bin/env bash
# npm start: sets up what is missing, then runs the standalone in this process.
# npm start -- --demo [--once]: two stock archives (Debian's orthanc) joined by it, and a guided tour; --once ends after it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"
tools/setup/dependencies.sh
tools/setup/nats-server.sh
tools/setup/build.sh apps/standalone tools
[[ " $* " != *" --demo "* ]] || tools/setup/debian.sh orthanc:Orthanc
export UV_THREADPOOL_SIZE="${UV_THREADPOOL_SIZE:-32}"
export ARCHIPELAGO_TOOLS="$TOOLS"
[[ " $* " != *" --demo "* ]] || exec node --enable-source-maps tools/dist/demo/main.js "$@"
exec node --enable-source-maps apps/standalone/dist/main.js
