# Shared by the set-up scripts. Needs bash, Node and Debian's base system; no npm packages.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
TOOLS="${ARCHIPELAGO_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/archipelago/tools}"

say() { printf '[setup] %s\n' "$*" >&2; }
fail() {
  printf '[setup] FAILED: %s\n' "$*" >&2
  exit 1
}

# pin natsServer.version -> the value in tools/versions.json
pin() {
  node -e 'let v = require(process.argv[1]); for (const k of process.argv[2].split(".")) v = v[k]; console.log(v)' \
    "$ROOT/tools/versions.json" "$1"
}

# version_ge 1.26.8 1.24 -> true when the first is at least the second
version_ge() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n1)" = "$2" ]; }

# The first dotted number of a tool's output
version_in() { grep -Eo '[0-9]+\.[0-9]+(\.[0-9]+)?' | head -n1 || true; }

# minutes FUNCTION/COMMAND... -> runs it and says how long it took
minutes() {
  local _what="$1" _started=$SECONDS _status=0
  shift
  "$@" || _status=$?
  local _took=$((SECONDS - _started))
  if [ "$_took" -ge 3 ]; then say "$_what: $((_took / 60)) min $((_took % 60)) s"; fi
  return "$_status"
}

# locked NAME COMMAND... -> one at a time on this machine (two clones may be set up at once)
locked() {
  # Names that no caller uses: a function called from here sees them.
  local _lock="$TOOLS/.lock-$1"
  shift
  mkdir -p "$TOOLS"
  if command -v flock >/dev/null; then
    (
      flock 9
      "$@"
    ) 9>"$_lock"
  else
    "$@"
  fi
}

# Runs a command as root: as it is, or through sudo when that asks no password. 1 when neither is possible.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif sudo -n true 2>/dev/null; then sudo -n "$@"; else return 1; fi
}

check_node() {
  local have want
  command -v node >/dev/null || fail "Node is not installed: install Node $(sed -n 's/.*"node": *{ *"minimum": *"\([^"]*\)".*/\1/p' "$ROOT/tools/versions.json") or newer"
  have="$(node -p process.versions.node)" want="$(pin node.minimum)"
  version_ge "$have" "$want" || fail "Node $have is too old: install Node $want or newer"
}
