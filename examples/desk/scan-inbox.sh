#!/usr/bin/env bash
# Score what lies in a drop folder, keep the report (CSV, and a page to listen and look), file the recordings away.
#
#   scan-inbox.sh [INBOX [ARCHIVE]]        (or the variables INBOX and ARCHIVE; ./inbox and ./archive if neither)
#
# Exit status: that of deepcheck. 0 nothing flagged (or nothing there), 3 some files could not be scored,
# 4 something flagged as spoof, 1 error, 2 wrong usage. After 1 and 2 the inbox is as it was.
set -euo pipefail

inbox=${1:-${INBOX:-inbox}}
archive=${2:-${ARCHIVE:-archive}}
if [[ $# -gt 2 ]]; then
  echo "usage: scan-inbox.sh [INBOX [ARCHIVE]]" >&2
  exit 2
fi
if [[ ! -d $inbox ]]; then
  echo "scan-inbox: no such folder: $inbox" >&2
  exit 2
fi
INBOX=$(realpath -- "$inbox")
ARCHIVE=$(realpath -m -- "$archive")
if [[ $ARCHIVE/ == "$INBOX"/* ]]; then
  echo "scan-inbox: the archive must lie outside the inbox" >&2
  exit 2
fi
mkdir -p -- "$ARCHIVE"

# One run at a time: the next one starts where a long one ends. The lock dies with its holder.
exec 9>"$ARCHIVE/.lock"
flock --nonblock 9 || exit 0

# Every file is named, whatever it is called, so that one that is no audio is reported and does not lie there for ever.
mapfile -d '' -t files < <(find "$INBOX" -type f ! -name '.*' -print0 | sort -z)
((${#files[@]})) || exit 0

timestamp=$(date +%Y-%m-%dT%H%M%S)
while [[ -e $ARCHIVE/$timestamp.csv ]]; do
  sleep 1
  timestamp=$(date +%Y-%m-%dT%H%M%S)
done
report=$ARCHIVE/$timestamp.csv
log=$(mktemp)
trap 'rm -f -- "$log"' EXIT

status=0
page=${report%.csv}.html
printf '%s\0' "${files[@]}" |
  deepcheck scan --from-file - --null --output "$report" --output "$page" --fail-on spoof >"$log" 2>&1 9>&- || status=$?
case $status in
  0) word=clear ;;
  3) word=INCOMPLETE ;;
  4) word=FLAGGED ;;
  *)
    cat -- "$log" >&2
    echo "scan-inbox: deepcheck stopped with status $status; the inbox is untouched" >&2
    rm -f -- "$report" "$page"
    exit "$status"
    ;;
esac

# The report is CSV after RFC 4180: a name may hold commas, quotes and line breaks, so a CSV reader takes it apart.
python3 - "$word" "$INBOX" "$ARCHIVE/${timestamp%%T*}" "$report" <<'PYTHON'
import collections
import csv
import hashlib
import os
import pathlib
import shutil
import sys

word, inbox, folder, report = sys.argv[1], *map(pathlib.Path, sys.argv[2:])
with report.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
    rows = list(csv.DictReader(file))
    os.fsync(file.fileno())
if rows and not {"path", "status", "verdict", "sha256"} <= rows[0].keys():
    sys.exit(f"scan-inbox: {report} lacks a column; the inbox is untouched")


def sha256(path):
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


# The report writes bytes that are no UTF-8 as \\xNN.
named = {os.fsencode(path).decode("utf-8", "backslashreplace"): path for path in inbox.rglob("*")}
left = 0
for row in rows:
    source = named.get(row["path"], inbox / row["path"])  # an absolute path stays as it is
    if not source.is_relative_to(inbox) or not source.is_file():
        left += 1
    elif row["sha256"] not in ("", sha256(source)):  # still being copied when it was scored: next time
        left += 1
    else:
        name, copy = source.relative_to(inbox), 1
        target = folder / name
        while os.path.lexists(target):
            copy += 1
            target = folder / name.with_name(f"{name.stem}-{copy}{name.suffix}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)

verdicts = [row["verdict"] if row["status"] == "scored" else "not scored" for row in rows]
count = collections.Counter(verdict.replace("bonafide", "bona fide") for verdict in verdicts)
counts = ", ".join(f"{count[kind]} {kind}" for kind in ("spoof", "inconclusive", "bona fide", "not scored"))
print(f"{word}: {counts}" + (f"; {left} left in the inbox" if left else "") + f"; report: {report}")
PYTHON
exit "$status"
