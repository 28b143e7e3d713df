#!/usr/bin/env bash
# npm ci, when node_modules is missing or not what the lock file says. One at a time per clone.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
check_node
cd "$ROOT"

install() {
  if node tools/setup/needs-install.mjs; then
    say "installing npm packages"
    npm ci --no-audit --no-fund --loglevel=error >&2 || fail "npm ci failed"
  fi
  node tools/setup/hydrate.mjs
}
minutes "npm packages" locked "clone-$(printf %s "$ROOT" | sha256sum | cut -c1-12)" install
