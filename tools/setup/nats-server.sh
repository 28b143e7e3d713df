#!/usr/bin/env bash
# nats-server.sh [--newest]   Makes sure there is a nats-server. --newest (tests): the pinned one, built by Go.
# Otherwise, in this order: on PATH (2.10 or newer), built with Go where Go is new enough, Debian's package.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

built="$TOOLS/nats-server-$(pin natsServer.version)"
build() { "$ROOT/tools/setup/go-install.sh" nats-server "$(pin natsServer.goPackage)" "$built"; }
on_path() {
  local path version
  path="$(PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v nats-server || true)"
  [ -n "$path" ] || return 1
  version="$("$path" --version 2>/dev/null | version_in)"
  [ -n "$version" ] && version_ge "$version" "$1"
}

if [ "${1:-}" = --newest ]; then build; exit; fi
[ -n "${ARCHIPELAGO_NATS_SERVER:-}" ] && exit 0
on_path "$(pin natsServer.onPathMinimum)" && exit 0
[ -x "$built/nats-server" ] && exit 0
if "$ROOT/tools/setup/go.sh" >/dev/null 2>&1 && build; then exit 0; fi
on_path "$(pin natsServer.debianMinimum)" && exit 0
"$ROOT/tools/setup/debian.sh" "$(pin natsServer.debianPackage)" && on_path "$(pin natsServer.debianMinimum)" && exit 0
fail "no nats-server: put nats-server $(pin natsServer.onPathMinimum) or newer on PATH, or install Go $(pin go.minimum) or newer, or Debian's package $(pin natsServer.debianPackage)"
