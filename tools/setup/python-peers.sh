#!/usr/bin/env bash
# Python peers for the tests (pynetdicom, pydicom, numpy) in a virtual environment of the tools cache.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

packages="$(node -e 'for (const [n, v] of Object.entries(require(process.argv[1]).pythonPeers.packages)) console.log(`${n}==${v}`)' "$ROOT/tools/versions.json")"
hash="$(printf '%s\n' "$packages" | sha256sum | cut -c1-12)"
folder="$TOOLS/python-peers-$hash"
[ -e "$folder/.complete" ] && exit 0
install() {
  [ -e "$folder/.complete" ] && return 0
  say "installing Python peers: $(echo $packages)"
  # shellcheck disable=SC2086
  "$ROOT/tools/setup/venv.sh" "$folder" $packages
}
minutes "Python peers" locked python-peers install
