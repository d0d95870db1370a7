"""The report as Markdown with tables (GitHub Flavored Markdown), to paste into a ticket or an editorial system."""

import re
from collections.abc import Iterator

from deepcheck.reports import Style
from deepcheck.reports.text import plain, seconds, visible
from deepcheck.reports.words import NOT_COMPLETE, VERDICTS, count, explain, opinion, percent, span, widened, worst
from deepcheck.scanner.result import NOT_SCORED, SPOOF, Basis, FileResult, Report

_ACTIVE = re.compile(r"([\\`*_\[\]{}#|~^=$])")
# What editors turn into links and mentions by themselves.
_LINKS = re.compile(r"(?<=www)(\.)|(:)(?=//)|(@)", re.IGNORECASE)
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def render(report: Report, style: Style | None = None) -> str:
    """Counts, a table of all files, a section for each that is suspicious as a whole or in part, and the basis."""
    blocks = [f"**{escape(_counts(report))}**"]
    if not report.complete:
        blocks.append(f"**{NOT_COMPLETE}**")
    if len(report):
        blocks.append("\n".join(_table(report)))
    blocks += ["\n".join(_section(result, report.basis)) for result in report if _flagged(result)]
    blocks.append("#### What this rests on")
    blocks += [escape(line) for line in _basis(report)]
    return "\n\n".join(blocks) + "\n"


def escape(text: str) -> str:
    """The text as Markdown that shows it and does nothing else; control characters are written out first."""
    escaped = _ACTIVE.sub(r"\\\1", plain(text))
    return _LINKS.sub(lambda match: f"\\{match[0]}", escaped).translate(_HTML)


def _counts(report: Report) -> str:
    counts = report.counts()
    parts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    return f"{count(len(report), 'file')}{': ' if parts else ''}{parts}"


def _table(report: Report) -> Iterator[str]:
    yield "| file | length | verdict | score | P(spoof) | most suspicious | notes |"
    yield "| --- | ---: | --- | ---: | ---: | --- | --- |"
    for result in report:
        cells = (
            visible(result.path),
            seconds(result.duration_s),
            result.verdict or NOT_SCORED,
            "" if result.llr is None else f"{result.llr:+.2f}",
            "" if result.p_spoof is None else percent(result.p_spoof),
            (result.reason or "") if (part := worst(result)) is None else span(part),
            ", ".join(note.name for note in result.notes),
        )
        yield f"| {' | '.join(map(escape, cells))} |"


def _flagged(result: FileResult) -> bool:
    return result.verdict == SPOOF or bool(result.stretches)


def _section(result: FileResult, basis: Basis) -> Iterator[str]:
    yield f"#### {escape(f'{visible(result.path)}: {result.verdict}')}"
    yield ""
    if result.stretches:
        yield f"- Suspicious: {escape(', '.join(map(span, result.stretches)))}"
    else:
        yield "- No stretch of it is suspicious by itself"
    yield from (f"- Note: {escape(note.text)}" for note in result.notes)
    if result.opinions:
        yield f"- Models: {escape('; '.join(map(opinion, result.opinions)))}"
    limits = result.thresholds
    if limits and limits != basis.thresholds:
        yield f"- Of this file, spoof means {limits.spoof:+.2f} or below, bona fide {limits.bonafide:+.2f} or above"
    if result.sha256:
        yield f"- SHA-256 {result.sha256}"


def _basis(report: Report) -> Iterator[str]:
    basis = report.basis
    yield from explain(basis).splitlines()
    yield from filter(None, [widened(report)])
    if basis.settings:
        yield f"Settings: {', '.join(f'{name} {value}' for name, value in basis.settings)}."
    if basis.created:
        yield f"Scanned at {basis.created}."
