"""RTTM, the format of speaker diarization, one document for all recordings: who speaks when, a machine or a person.

The format (NIST, "The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan", appendix A): a line a
segment, of ten fields without spaces, separated by one: type, file, channel, start and duration in seconds,
orthography, speaker type, speaker name, confidence, signal lookahead time; `<NA>` stands for what does not apply.
"""

import os
from pathlib import Path

from deepcheck.reports import Style
from deepcheck.reports.segments import SUSPICIOUS, segments
from deepcheck.scanner.result import BONAFIDE, INCONCLUSIVE, SPOOF, Report

_NAMES = {SPOOF: "spoof", SUSPICIOUS: "suspicious", INCONCLUSIVE: "inconclusive", BONAFIDE: "bonafide"}


def render(report: Report, style: Style | None = None) -> str:
    """SPEAKER lines that cover all that was judged; the speaker is `spoof`, `suspicious`, `inconclusive` or
    `bonafide`. What could not be judged has no line, and recordings without a score have none. Confidence is `<NA>`: a
    likelihood ratio is no probability. `file_id` makes the name of the file.
    """
    lines = []
    for result in report:
        for part in segments(result, report.basis):
            if part.llr is not None:
                where = f"{file_id(result.path)} 1 {part.start_s:.3f} {part.end_s - part.start_s:.3f}"
                lines.append(f"SPEAKER {where} <NA> <NA> {_NAMES[part.label]} <NA> <NA>\n")
    return "".join(lines)


def file_id(path: Path) -> str:
    """The path in one word: white space, `%`, `<`, `>`, whatever cannot be seen and bytes that are no text are written
    as %XX, byte by byte in UTF-8, so that `urllib.parse.unquote_to_bytes` gives the path back.
    """
    return "".join(_escaped(c) for c in str(path))


def _escaped(character: str) -> str:
    if character.isprintable() and not character.isspace() and character not in "%<>":
        return character
    return "".join(f"%{byte:02X}" for byte in os.fsencode(character))
