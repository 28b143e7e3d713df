#!/usr/bin/env bash
# debian.sh PACKAGE[:COMMAND]...   Installs Debian packages that are missing. A package counts as there when its command
# is on PATH (so that a machine with its own build, or another system, is left alone) or when dpkg says so.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

missing=()
for item in "$@"; do
  package="${item%%:*}" command="${item#*:}"
  if [ "$command" != "$item" ] && [ -n "$command" ]; then
    PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$command" >/dev/null && continue
  fi
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' && continue
  missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

install() {
  export DEBIAN_FRONTEND=noninteractive
  # Servers that a package would start are not wanted: tests start their own.
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends "$@" >"$log" 2>&1
}
run() {
  log="$(mktemp)"
  say "installing Debian packages: $*"
  command -v apt-get >/dev/null || fail "install by hand: $* (this is not a Debian system)"
  as_root true || fail "install by hand, as root: apt-get install $*  (neither root nor sudo without a password)"
  install "$@" || {
    as_root apt-get update >"$log" 2>&1 || { tail -n 20 "$log" >&2; fail "apt-get update failed; needed: $*"; }
    install "$@" || { tail -n 20 "$log" >&2; fail "apt-get install $* failed"; }
  }
  rm -f "$log"
}
minutes "Debian packages" locked debian run "${missing[@]}"
