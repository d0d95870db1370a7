"""The report as one HTML file that opens offline: for people who have to show what a verdict rests on.

Everything is in the file: style, script, drawings, and the sound as data URIs. Its security policy lets the browser
load nothing else and run nothing but that script. What the page shows comes from strangers - file names, tags,
models - so the template escapes all of it, and writes out what cannot be seen.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from deepcheck.reports import Style
from deepcheck.reports.html import notation
from deepcheck.reports.html.excerpts import TOTAL_S
from deepcheck.reports.html.page import VERDICTS, WINDOWS, Page
from deepcheck.reports.html.sound import KBPS
from deepcheck.reports.html.timeline import SCORE_PX, WAVE_PX, WAVE_UNITS, wave_path
from deepcheck.reports.text import plain, visible
from deepcheck.reports.words import NOT_COMPLETE, agreement, explain, percent, widened
from deepcheck.scanner.result import Report

_FOLDER = Path(__file__).parent


def render(report: Report, style: Style | None = None) -> str:
    """The whole page. The recordings are read again, for their waveforms and, as `style.audio` says, their sound.

    A recording that has gone or changed since it was scanned is shown without. At most 90 minutes of sound are carried,
    and of recordings longer than 10 minutes only the suspicious parts: `excerpts.choose`.
    """
    css, script = (_FOLDER.joinpath(name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    page = Page(report, style or Style())
    template = _environment().get_template("report.jinja")
    return template.render(
        page=page,
        report=report,
        basis=report.basis,
        css=Markup(css),
        script=Markup(script),
        policy=_policy(css, script),
        explanation=[*explain(report.basis).strip().splitlines(), *filter(None, [widened(report)])],
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.filters |= {
        "clock": notation.clock,
        "signed": notation.signed,
        "moment": notation.moment,
        "measure": notation.measure,
        "known": lambda value: "" if value is None else value,
        "percent": percent,
        "wave_path": wave_path,
        "visible": visible,
        "rate": notation.rate,
        "limit": notation.limit,
    }
    environment.globals |= {
        "count": notation.count,
        "span": notation.span,
        "agreement": agreement,
        "NOT_COMPLETE": NOT_COMPLETE,
        "VERDICTS": VERDICTS,
        "WINDOWS": WINDOWS,
        "WAVE_PX": WAVE_PX,
        "WAVE_UNITS": WAVE_UNITS,
        "SCORE_PX": SCORE_PX,
        "KBPS": KBPS,
        "MOST_MINUTES": round(TOTAL_S / 60),
    }
    return environment


def _visible(value: Any) -> Any:
    # Whatever the template writes, but for what is markup already.
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _policy(css: str, script: str) -> str:
    """A content security policy under which the page can fetch nothing, and runs and styles itself only."""
    return (
        f"default-src 'none'; style-src {_hash(css)}; script-src {_hash(script)}; img-src data:; media-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
