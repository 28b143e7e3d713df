#!/usr/bin/env bash
# The campaigns as CI runs them: short forms, fixed seeds. The last line is "N passed, N failed". Needs a build.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
campaigns=(
  "fsync-order"
  "fsync-fails"
  "conflict"
  "nats-wiped"
  "heal"
  "disk-full"
  "outages"
  "harvest"
  "never-lost --instances 2000"
  "fuzz"
)
passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for campaign in "${campaigns[@]}"; do
  echo "== campaign $campaign"
  # shellcheck disable=SC2086
  node tools/dist/campaign/main.js $campaign 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -1)
  read -r p _ f _ <<<"${line:-0 passed, 0 failed}"
  # a campaign that ends without its counts, or with a bad status and none failed, failed
  if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
  if [ -z "$line" ] && [ "$f" -eq 0 ]; then f=1; fi
  passed=$((passed + p))
  failed=$((failed + f))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
