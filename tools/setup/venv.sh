#!/usr/bin/env bash
# venv.sh FOLDER REQUIREMENT...   A Python virtual environment with these packages; the folder appears when it is complete.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

folder="$1"
shift
[ -e "$folder/.complete" ] && exit 0
command -v python3 >/dev/null || "$ROOT/tools/setup/debian.sh" python3:python3
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
rm -rf "$folder"
mkdir -p "$(dirname "$folder")"
if ! python3 -m venv "$folder" >"$log" 2>&1; then
  rm -rf "$folder"
  "$ROOT/tools/setup/debian.sh" python3-venv || fail "Python cannot make a virtual environment: install Debian's package python3-venv"
  # The distribution's own Python: another python3 on PATH does not get what the package brings.
  /usr/bin/python3 -m venv "$folder" >"$log" 2>&1 || { cat "$log" >&2; fail "python3 -m venv failed"; }
fi
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input "$@" >"$log" 2>&1 || {
  tail -n 20 "$log" >&2
  rm -rf "$folder"
  fail "pip could not install: $*"
}
touch "$folder/.complete"
