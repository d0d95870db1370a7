#!/usr/bin/env bash
# Score what comes into a drop folder at once, keep a page of it up to date, and run a command for each flagged file.
#
#   watch-inbox.sh INBOX PAGE [COMMAND [ARGUMENT ...]]
#
# COMMAND gets the verdict, the score and the path as its last three arguments; without one they are printed.
# Runs until Ctrl-C, or until systemd stops it; started again, it tells of no file twice. Needs jq 1.6 or later.
set -euo pipefail

if [[ $# -lt 2 ]]; then
  echo "usage: watch-inbox.sh INBOX PAGE [COMMAND [ARGUMENT ...]]" >&2
  exit 2
fi
inbox=$1 page=$2
shift 2
tell=("$@")
((${#tell[@]})) || tell=(printf '%s %s %s\n')

# A word that no name of a file can break, whatever it holds.
flagged='select(.verdict == "spoof") | [.verdict, (.llr | tostring), .path] | map(@base64) | join(" ")'

deepcheck scan "$inbox" --watch --interval "${INTERVAL:-2}" --quiet --format jsonl --output - --output "$page" |
  jq --raw-output --unbuffered "$flagged" |
  while read -r verdict score path; do
    "${tell[@]}" "$(base64 -d <<<"$verdict")" "$(base64 -d <<<"$score")" "$(base64 -d <<<"$path")" ||
      echo "watch-inbox: ${tell[0]} failed" >&2
  done
