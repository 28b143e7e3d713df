#!/usr/bin/env bash
# go-install.sh NAME PACKAGE@VERSION FOLDER   Builds a Go program into the tools cache. Another Go is tried when the one
# on this machine cannot build it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

name="$1" package="$2" folder="$3"

build() {
  [ -x "$folder/$name" ] && return 0
  local go temporary log options
  for options in "--install" "--bundled --install"; do
    # shellcheck disable=SC2086
    go="$("$ROOT/tools/setup/go.sh" $options)" || return 1
    temporary="$(mktemp -d "$TOOLS/.build-XXXXXX")" || return 1
    log="$TOOLS/.build-$name.log"
    say "building $package with $("$go" version | sed 's/^go version //')"
    if GOBIN="$temporary" CGO_ENABLED=0 GOFLAGS=-trimpath "$go" install "$package" >"$log" 2>&1; then
      mkdir -p "$folder" && mv -f "$temporary/$name" "$folder/$name" || return 1
      rm -rf "$temporary" "$log"
      return 0
    fi
    tail -n 15 "$log" >&2
    rm -rf "$temporary"
  done
  return 1
}
mkdir -p "$TOOLS"
if [ -x "$folder/$name" ]; then exit 0; fi
minutes "$name" locked "go-build-$name" build || fail "$package could not be built: needs Go $(pin go.minimum) or newer and the Go module proxy"
[ -x "$folder/$name" ] || fail "$package was built but $folder/$name is not there"
