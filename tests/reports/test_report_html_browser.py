"""The HTML report of 30 mixed files in a real browser: opened from disk, sorted, filtered, listened to."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chromium import PROGRAM, Chromium, chromium
from conftest import speechlike, write_wav
from mixed_recordings import LONG, mixed, write

import deepcheck
from deepcheck.reports.html import render
from deepcheck.reports.text import visible
from deepcheck.scanner.result import Report

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium here (Debian: apt-get install chromium)")

ROWS = "[...document.querySelectorAll('#table tbody tr')].filter(r => !r.hidden)"
NAMES = f"{ROWS}.map(r => r.querySelector('.c-file').textContent)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return mixed(tmp_path_factory.mktemp("mixed"))


@pytest.fixture(scope="module")
def file(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("page") / "report.html"
    place.write_text(render(report), encoding="utf-8")
    return place


@pytest.fixture
def page(browser: Chromium, file: Path) -> Iterator[Chromium]:
    """The report just opened in the window of a desktop; at the end nothing was complained of or fetched."""
    browser.resize(1280)
    browser.open(file)
    yield browser
    assert browser.complaints() == []
    assert browser.requests() == [file.as_uri()]


@pytest.fixture
def number(report: Report) -> Callable[[str], str]:
    """The anchor of a recording by the end of its name."""
    return lambda name: next(f"f{i}" for i, r in enumerate(report, 1) if r.path.name.endswith(name))


def shown(report: Report, verdict: str) -> int:
    return report.counts()[verdict]


def test_it_opens_with_all_files_and_hostile_names_do_nothing(page, report):
    assert page.run("document.title") == "30 recordings checked for synthetic speech – deepcheck"
    names = page.run(NAMES)
    assert len(names) == len(report) == 30
    for result, name in zip(report, names, strict=True):
        assert visible(result.path).endswith(name)
    assert page.run("typeof window.pwned") == "undefined"
    assert page.run("document.scripts.length - document.querySelectorAll('script[type]').length") == 1
    assert page.run("document.images.length") == 0


def test_sorting_by_score_and_back_with_unknown_ones_last(page, report):
    scores = sorted(r.llr for r in report if r.llr is not None)
    values = f"{ROWS}.map(r => r.querySelector('.c-score').dataset.v).map(v => v === '' ? null : Number(v))"
    sorted_by = "document.querySelector('th.c-score').getAttribute('aria-sort')"
    page.click("th.c-score button")
    assert page.run(sorted_by) == "ascending"
    assert page.run(values) == pytest.approx([*scores, *[None] * 6])
    page.run("document.querySelector('th.c-score button').focus()")
    page.press("Enter")
    assert page.run(sorted_by) == "descending"
    assert page.run(values) == pytest.approx([*reversed(scores), *[None] * 6])
    assert page.run("document.querySelector('#sorted').textContent") == "Sorted by Score, descending"
    page.click("th.c-verdict button")
    assert page.run(sorted_by) is None
    assert page.run(f"{ROWS}[0].dataset.verdict") == "spoof"
    assert page.run(f"{ROWS}.at(-1).dataset.verdict") == "unscored"
    page.click("th.c-file button")
    names = page.run(NAMES)
    assert names.index("voices/speaker 2.mp3") < names.index("voices/speaker 10.opus")  # numbers as numbers


def test_filtering_by_verdict_text_and_notes(page, report):
    status = "document.querySelector('#shown').textContent"
    assert page.run(status).startswith("30 files")
    page.click("[name=verdict][value=bonafide]")
    page.click("[name=verdict][value=inconclusive]")
    page.click("[name=verdict][value=unscored]")
    spoofs = report.counts()["spoof"]
    assert page.run(status) == f"{spoofs} of 30 files shown"
    assert page.run(f"new Set({ROWS}.map(r => r.dataset.verdict)).size") == 1
    sections = "[...document.querySelectorAll('.recording')].filter(r => !r.hidden).length"
    assert page.run(sections) == spoofs
    page.click("#find")
    page.type("voices SPEAKER")
    assert page.run(f"{NAMES}.every(name => name.startsWith('voices/'))")
    assert 0 < len(page.run(NAMES)) < spoofs
    page.click(".filters button")
    page.wait(f"{status}.startsWith('30 files')")
    assert page.run(f"{sections}") == 30
    page.run("document.querySelector('#notes').value = '=telephone'")
    page.run("document.querySelector('#notes').dispatchEvent(new Event('input', {bubbles: true}))")
    assert page.run(NAMES) == ["voices/speaker 13.wav"]


def test_a_click_on_a_timeline_moves_the_player_there(page, number):
    anchor = number("speaker 5.m4a")  # 10 s
    player = f"document.querySelector('details[data-file={anchor}] audio')"
    page.click(f"details[data-file={anchor}] > summary")
    page.click(f"details[data-file={anchor}] .stage > svg", across=0.6)
    page.wait(f"{player}.currentTime > 0 && !{player}.seeking")
    assert page.run(f"{player}.currentTime") == pytest.approx(6.0, abs=0.05)
    assert page.run(f"{player}.duration") == pytest.approx(10.0, abs=0.1)
    assert page.run(f"{player}.paused")
    slider = f"document.querySelector('details[data-file={anchor}] [role=slider]')"
    assert page.run(f"{slider}.getAttribute('aria-valuetext')").startswith("0:06.0, score ")
    assert float(page.run(f"{slider}.querySelector('.cursor').getAttribute('x1')")[:-1]) == pytest.approx(60, abs=1)


def test_the_keyboard_moves_the_player_too(page, number):
    anchor = number("speaker 7.flac")  # 12 s, in the third window nobody speaks
    player = f"document.querySelector('details[data-file={anchor}] audio')"
    slider = f"document.querySelector('details[data-file={anchor}] [role=slider]')"
    page.run(f"document.querySelector('details[data-file={anchor}]').open = true")
    page.run(f"{slider}.focus()")
    page.press("End")
    page.wait(f"{player}.currentTime === 9 && !{player}.seeking")
    page.press("ArrowLeft")
    page.press("ArrowLeft")
    page.wait(f"{player}.currentTime === 5 && !{player}.seeking")
    assert "not scored: no speech" in page.run(f"{slider}.getAttribute('aria-valuetext')")
    page.press("Enter")
    page.wait(f"!{player}.paused && {player}.currentTime > 5.3")  # it plays: the browser knows the codec
    page.press("Enter")
    assert page.run(f"{player}.paused")
    assert page.run(f"{player}.error") is None
    now = page.run(f"{player}.currentTime")
    assert float(page.run(f"{slider}.getAttribute('aria-valuenow')")) == pytest.approx(now, abs=0.3)


def test_excerpts_of_a_long_recording_play_at_their_own_time(page, number):
    anchor = number(LONG)
    player = f"document.querySelector('details[data-file={anchor}] audio')"
    said = f"document.querySelector('details[data-file={anchor}] .readout').textContent"
    page.run(f"document.querySelector('details[data-file={anchor}]').open = true")
    page.click(f"details[data-file={anchor}] .stretches button")
    page.wait(f"{player}.currentTime >= 3 && !{player}.paused")  # 400 s, in a clip that begins at 397 s
    page.run(f"{player}.pause()")
    assert page.run(f"{player}.duration") == pytest.approx(18.0, abs=0.05)
    assert page.run(said).startswith("6:40.")
    page.click(f"details[data-file={anchor}] .stage > svg", across=0.1)
    assert "not in the report as sound" in page.run(said)


def test_a_link_in_the_table_opens_the_recording_at_the_place(page, number):
    anchor = number("speaker 12.webm")
    place = float(page.run(f"document.querySelector('tr[data-file={anchor}] [data-jump]').dataset.jump"))
    page.click(f"tr[data-file={anchor}] [data-jump]")
    page.wait(f"document.querySelector('details[data-file={anchor}]').open")
    player = f"document.querySelector('details[data-file={anchor}] audio')"
    page.wait(f"Math.abs({player}.currentTime - {place}) < 0.01")
    assert page.run("location.hash") == f"#{anchor}"
    assert page.run(f"document.querySelector('#{anchor}').getBoundingClientRect().top") < 300


def test_every_player_can_play_what_it_has(page, report):
    lengths = page.run(
        "Promise.all([...document.querySelectorAll('audio')].map(a => new Promise((done, fail) => {"
        "a.onloadedmetadata = () => done(a.duration - (a.dataset.to - a.dataset.from));"
        "a.onerror = () => fail(a.error.message); a.preload = 'metadata'; a.load(); })))"
    )
    assert len(lengths) == 27  # all but an empty file, a letter and one that has gone
    assert lengths == pytest.approx([0.0] * 27, abs=0.01)


@pytest.mark.parametrize("width", [360, 390, 768])
def test_no_width_makes_the_page_scroll_sideways(page, width):
    page.resize(width, 800, phone=width < 700)
    page.run("document.querySelector('#open-all').click()")
    page.run("document.querySelectorAll('details').forEach(d => Object.assign(d, {open: true}))")
    page.run("document.querySelectorAll('details').forEach(d => { d.style.contentVisibility = 'visible' })")
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("innerWidth") == width


CONTRASTS = """(() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = parts(color).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = (e) => { // the first background that is not transparent
    const own = getComputedStyle(e).backgroundColor;
    return parts(own)[3] === 0 ? paper(e.parentElement) : own;
  };
  const texts = [...document.querySelectorAll("body *")].filter((e) => !e.closest("svg, audio, script")
    && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
  return texts.map((e) => {
    const [a, b] = [light(getComputedStyle(e).color), light(paper(e))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), e.outerHTML.slice(0, 80)];
  }).filter(([contrast]) => contrast < 4.5);
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_the_contrast_that_wcag_asks_for(page, scheme):
    page.prefer(scheme)
    assert page.run("getComputedStyle(document.body).backgroundColor") == (
        "rgb(253, 252, 250)" if scheme == "light" else "rgb(22, 22, 20)"
    )
    assert page.run(CONTRASTS) == []
    page.prefer("light")


def test_the_first_stop_of_the_keyboard_skips_to_the_table(page):
    page.press("Tab")
    assert page.run("document.activeElement.textContent") == "Skip to the table of files"
    assert page.run("document.activeElement.getBoundingClientRect().left") > 0
    page.press("Enter")
    page.wait("location.hash === '#files'")


def test_print_shows_every_recording_and_no_player(page):
    page.call("Emulation.setEmulatedMedia", media="print")
    try:
        heights = page.run("[...document.querySelectorAll('.body')].map(b => b.getBoundingClientRect().height)")
        assert min(heights) > 50
        assert page.run("[...document.querySelectorAll('audio, nav, .filters')].every(e => !e.getClientRects().length)")
        assert page.run("document.querySelector('.stage svg').getBoundingClientRect().height") > 100
    finally:
        page.call("Emulation.setEmulatedMedia", media="")


def test_it_can_be_read_without_its_script(browser, file, number):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.resize(1280)
        browser.open(file)
        assert len(browser.run(NAMES)) == 30
        assert browser.run("document.querySelector('.filters').hidden")
        anchor = number("speaker 5.m4a")
        browser.click(f"details[data-file={anchor}] > summary")
        stage = f"document.querySelector('details[data-file={anchor}] .stage')"
        assert browser.run(f"{stage}.getBoundingClientRect().height") > 100
        assert browser.run("document.querySelector('.stretches button').disabled")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_a_real_scan_of_a_few_files(browser, tmp_path, stored_model):
    write_wav(tmp_path / "in" / "voice.wav", speechlike(6.0))
    write(tmp_path / "in" / "tone <b>.mp3", 5.0)
    (tmp_path / "in" / "empty.wav").touch()
    report = deepcheck.scan([tmp_path / "in"], model=stored_model(spoof=-0.01, bonafide=0.01))
    file = tmp_path / "report.html"
    file.write_text(render(report), encoding="utf-8")
    browser.resize(1280)
    browser.open(file)
    assert browser.run("document.querySelectorAll('#table tbody tr').length") == 3
    assert browser.run("document.querySelectorAll('details.recording[open]').length") == 3  # so few are open at once
    assert report.basis.model_sha256 in browser.run("document.querySelector('#basis').textContent")
    for result in report:
        assert json.dumps(result.sha256).strip('"') in browser.run("document.body.textContent")
    browser.click(".stage", across=0.5)
    browser.wait("document.querySelector('audio').currentTime > 1")
    assert browser.complaints() == []
    assert browser.requests() == [file.as_uri()]
