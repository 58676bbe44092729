# Sourced by scripts that run several checks: each is a stage with a budget in seconds, and a table closes the run.
# shellcheck shell=bash

# Whether a stage that counts nothing is fine.
stage_may_be_empty=${stage_may_be_empty:-}
stage_names=() stage_seconds=() stage_budgets=() stage_verdicts=()
stages_passed=0 stages_failed=0
stage_log=$(mktemp)
stage_failures=$(mktemp)
trap 'rm -f "$stage_log" "$stage_failures"' EXIT
# The lines by which the test runner, the interop scripts, the sanitizers, the compiler and the stages tell of a failure.
stage_failure='^✘ Test .* recorded an issue|^[^:]+: (failed|again): |(WARNING|ERROR): [A-Za-z]+Sanitizer|error: |did not end within'

# stage NAME BUDGET COMMAND...: runs COMMAND for BUDGET seconds at most; its closing line `N passed, N failed` is added
# to the sum. A command that fails without such a line, or that counts nothing at all, counts as one failure.
stage() {
  local name=$1 budget=$2 start=$SECONDS code=0 more='' less=''
  shift 2
  printf '\n######## %s (at most %d s): %s\n' "$name" "$budget" "$*"
  timeout -k 30 "$budget" "$@" 2>&1 | tee "$stage_log" || code=${PIPESTATUS[0]}
  read -r more less < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$stage_log" | tail -1) || true
  [ "$code" = 124 ] && echo "$name did not end within its $budget seconds"
  if [ "$code" = 0 ] && [ -z "$stage_may_be_empty" ] && [ $((${more:-0} + ${less:-0})) = 0 ]; then echo "$name ran nothing" && code=1; fi
  if [ "$code" != 0 ] && [ "${less:-0}" = 0 ]; then less=1; fi
  stages_passed=$((stages_passed + ${more:-0})) stages_failed=$((stages_failed + ${less:-0}))
  grep -aE "$stage_failure" "$stage_log" | grep -avE '^[^:]+: ok' | head -n 40 >>"$stage_failures" || true
  stage_names+=("$name") stage_seconds+=($((SECONDS - start))) stage_budgets+=("$budget")
  stage_verdicts+=("$([ "$code" = 0 ] && [ "${less:-0}" = 0 ] && echo ok || echo failed)")
}

# end_stages: prints what failed, the table and the sum; the status is 0 only when nothing failed.
end_stages() {
  local index
  if [ -s "$stage_failures" ]; then
    printf '\nwhat failed, or was tried again:\n'
    awk '!seen[$0]++' "$stage_failures" | cut -c 1-400
  fi
  printf '\n%-12s %8s %8s  %s\n' stage seconds budget verdict
  for index in "${!stage_names[@]}"; do
    printf '%-12s %8d %8d  %s\n' "${stage_names[$index]}" "${stage_seconds[$index]}" "${stage_budgets[$index]}" \
      "${stage_verdicts[$index]}"
  done
  printf '%-12s %8d\n\n' total "$SECONDS"
  echo "$stages_passed passed, $stages_failed failed"
  [ "$stages_failed" = 0 ]
}
