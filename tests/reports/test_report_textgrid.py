import re
from dataclasses import dataclass, field, replace

import pytest
from report_examples import BAD, BASIS, EMPTY, GENUINE, HOSTILE, MUTE, NAN, SPLICED, hostile, window

from deepcheck.reports import FORMATS, REPORTS
from deepcheck.reports.textgrid import render
from deepcheck.scanner.result import Report


@dataclass
class Tier:
    kind: str
    name: str
    items: list[tuple] = field(default_factory=list)


def read(text: str) -> list[Tier]:
    """As Praat reads a TextGrid: texts between quotes, a doubled quote is one, and numbers and flags that stand free;
    all else (`xmin =`, `intervals [1]:`) is comment.
    """
    tokens = re.findall(r'"((?:[^"]|"")*)"|(?<!\S)(-?\d+(?:\.\d+)?)(?!\S)|(<exists>)', text)
    values = iter([flag or (float(number) if number else quoted.replace('""', '"')) for quoted, number, flag in tokens])
    assert (next(values), next(values)) == ("ooTextFile", "TextGrid")
    start, end, flag, size = (next(values) for _ in range(4))
    assert (start, flag) == (0.0, "<exists>")
    tiers = []
    for _ in range(int(size)):
        tier = Tier(next(values), next(values))
        assert (next(values), next(values)) == (start, end)
        width = {"IntervalTier": 3, "TextTier": 2}[tier.kind]
        tier.items = [tuple(next(values) for _ in range(width)) for _ in range(int(next(values)))]
        if tier.kind == "IntervalTier":  # they must cover the whole time
            assert [item[0] for item in tier.items] == [start, *(item[1] for item in tier.items[:-1])]
            assert tier.items[-1][1] == end
        else:
            times = [item[0] for item in tier.items]
            assert times == sorted(set(times))
            assert not times or start <= times[0] <= times[-1] <= end
        tiers.append(tier)
    assert list(values) == []
    return tiers


def test_the_whole_document():
    assert render(Report((GENUINE,), BASIS)) == (
        'File type = "ooTextFile"\n'
        'Object class = "TextGrid"\n'
        "\n"
        "xmin = 0\n"
        "xmax = 6\n"
        "tiers? <exists>\n"
        "size = 2\n"
        "item []:\n"
        "    item [1]:\n"
        '        class = "IntervalTier"\n'
        '        name = "verdict"\n'
        "        xmin = 0\n"
        "        xmax = 6\n"
        "        intervals: size = 1\n"
        "        intervals [1]:\n"
        "            xmin = 0\n"
        "            xmax = 6\n"
        '            text = "bona fide +2.50"\n'
        "    item [2]:\n"
        '        class = "TextTier"\n'
        '        name = "windows"\n'
        "        xmin = 0\n"
        "        xmax = 6\n"
        "        points: size = 2\n"
        "        points [1]:\n"
        "            number = 2\n"
        '            mark = "+2.75"\n'
        "        points [2]:\n"
        "            number = 4\n"
        '            mark = "+2.25"\n'
    )


def test_stretches_and_what_could_not_be_judged():
    assert read(render(Report((SPLICED,), BASIS))) == [
        Tier(
            "IntervalTier",
            "verdict",
            [
                (0.0, 2.0, "bona fide +2.00"),
                (2.0, 6.0, "spoof -4.50"),
                (6.0, 10.0, "inconclusive +0.25"),
                (10.0, 12.0, "silent"),
            ],
        ),
        Tier("TextTier", "windows", [(2.0, "+2.00"), (4.0, "-4.50"), (6.0, "-0.50"), (8.0, "+0.50"), (10.0, "silent")]),
    ]


def test_a_recording_without_score():
    assert read(render(Report((MUTE,), BASIS))) == [
        Tier("IntervalTier", "verdict", [(0.0, 3.0, "no speech")]),
        Tier("TextTier", "windows", [(1.5, "no speech")]),
    ]


@pytest.mark.parametrize("report", [EMPTY, Report((BAD,), BASIS)])
def test_nothing_without_a_length(report):
    assert render(report) == ""


def test_windows_of_one_middle_share_a_point():
    result = replace(GENUINE, windows=(window(2.0, -1.0, end_s=4.0), window(1.0, 1.0, end_s=5.0), window(0.0, 2.0)))
    assert read(render(Report((result,), BASIS)))[1].items == [(2.0, "+2.00"), (3.0, "-1.00, +1.00")]


def test_times_have_microseconds():
    result = replace(MUTE, duration_s=3.1415926, windows=(window(0.0, NAN, MUTE.windows[0].quality, end_s=3.1415926),))
    assert "xmax = 3.141593\n" in render(Report((result,), BASIS))
    assert "number = 1.570796\n" in render(Report((result,), BASIS))
    assert "xmax = 1200\n" in render(Report((replace(MUTE, duration_s=1200.0),), BASIS))


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_texts_are_quoted(name):
    # No name is in a TextGrid, but a status might say anything.
    result = replace(MUTE, status=name)
    text = render(Report((result,), BASIS))
    assert text.replace("\n", "").isprintable()
    [item] = read(text)[0].items
    assert item[2] == (name if name.isprintable() else item[2])
    assert read(render(replace(hostile(name), results=hostile(name).results[:1])))


def test_it_is_a_file_a_recording():
    assert REPORTS.resolve("textgrid") is render
    assert FORMATS["textgrid"].per_recording
