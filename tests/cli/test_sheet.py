"""Tables, whatever is in them: names come from files and folders of strangers."""

import io
import re

import pytest
from rich.console import Console

from deepcheck.cli.sheet import Sheet, latex

PLAIN = Sheet("Two systems", ("system", "EER", "trials"), (("mine", "4.3 %", "200"), ("theirs", "12.0 %", "1,000")))


def drawn(sheet, width=80, color=None):
    console = Console(file=io.StringIO(), width=width, color_system=color, force_terminal=color is not None)
    console.print(sheet.drawn())
    return console.file.getvalue()


def named(name):
    return Sheet(name, ("system", name), ((name, "1"), ("other", name)))


def test_words_stand_left_and_numbers_right():
    title, _, head, rule, first, second, *_ = drawn(PLAIN).splitlines()
    assert title.rstrip() == "Two systems"
    assert set(rule.strip()) == {"─"}
    assert (first.split(), second.split()) == (["mine", "4.3", "%", "200"], ["theirs", "12.0", "%", "1,000"])
    assert first.index("mine") == second.index("theirs") == head.index("system")
    assert len(first.rstrip()) == len(second.rstrip()) == len(head.rstrip())


def test_all_columns_are_words_where_said():
    _, _, _, _, first, second, *_ = drawn(Sheet("Words", PLAIN.columns, PLAIN.rows, left=3)).splitlines()
    assert first.index("200") == second.index("1,000")


@pytest.mark.parametrize("width", [60, 80, 100, 120])
@pytest.mark.parametrize("name", ["aaaa aaaaaa aaaa aaaa aaaaa", "a" * 25, "a" * 90])
def test_narrow_tables_fold_and_lose_nothing(width, name):
    row = (name, "bbb.bb b [bb.bb, bb.bb]", "cc.c c [cc.c, cc.c] (cc cc ccc)", "d.ddd", "eee e")
    text = drawn(Sheet("", ("", "", "", "", ""), (row, row)), width)
    assert max(map(len, text.splitlines())) <= width
    for letter, cell in zip("abcde", row, strict=True):
        assert text.count(letter) == 2 * cell.count(letter)
    if len(name) < 30:
        assert text.count(name) == 2  # numbers fold first


@pytest.mark.parametrize(
    "name", ["[bold]x[/bold]", "[/]", "[link=http://x]here[/link]", ":smile:", "[red]", "\\[x]", "a\\", "{x}", "%s"]
)
def test_markup_in_names_is_text(name):
    text = drawn(named(name), color="truecolor")
    bare = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert bare.count(name) == 4
    assert not re.search(r"\x1b\[[\d;]*3[0-7]m", text)  # no colour
    assert "\x1b]8" not in text  # no link


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("back\rwards", "back\\rwards"),
        ("tab\tbed", "tab\\tbed"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("no utf-8: \udcff", "no utf-8: \\udcff"),
        ("zero\x00", "zero\\x00"),
    ],
)
def test_control_characters_are_written_out(name, shown):
    text = drawn(named(name))
    assert text.count(shown) == 4
    assert all(c.isprintable() or c == "\n" for c in text)
    text.encode()
    assert name not in named(name).latex()


def test_new_lines_stay_within_their_cell():
    sheet = Sheet("", ("figure", "mine"), (("EER", "4.3 %\n3 sources"), ("a\nb", "1")), left=2)
    lines = [line.rstrip() for line in drawn(sheet).splitlines() if line.strip()][2:]
    assert [line.split() for line in lines] == [["EER", "4.3", "%"], ["3", "sources"], ["a", "1"], ["b"]]
    assert lines[0].index("4.3") == lines[1].index("3 sources") == lines[2].index("1")


def test_wide_characters_and_long_names():
    text = drawn(Sheet("", ("system", "EER"), (("語" * 30, "1.0 %"), ("a" * 100, "2.0 %"))), width=60)
    assert text.count("語") == 30
    assert text.count("a") == 100
    assert "1.0 %" in text


def test_a_table_without_rows():
    assert drawn(Sheet("Nothing", ("system", "EER"), ())).splitlines()[0].rstrip() == "Nothing"
    assert r"\midrule" in Sheet("Nothing", ("system", "EER"), ()).latex()


def test_latex():
    assert PLAIN.latex() == "\n".join(
        [
            r"\begin{table}",
            r"\caption{Two systems}",
            r"\begin{tabular}{lrr}",
            r"\toprule",
            r"system & EER & trials \\",
            r"\midrule",
            r"mine & 4.3 \% & 200 \\",
            r"theirs & 12.0 \% & 1,000 \\",
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        (r"a\\b", r"a\textbackslash{}\textbackslash{}b"),
        ("50 % & more", r"50 \% \& more"),
        ("a_b^c", r"a\_b\textasciicircum{}c"),
        ("$x$ #1 ~", r"\$x\$ \#1 \textasciitilde{}"),
        ("}{", r"\}\{"),
        ("two\nlines", "two lines"),
    ],
)
def test_latex_of_hostile_names(name, escaped):
    text = named(name).latex()
    assert rf"\caption{{{escaped}}}" in text
    assert rf"system & {escaped} \\" in text
    assert rf"{escaped} & 1 \\" in text
    assert rf"other & {escaped} \\" in text
    assert len(text.splitlines()) == 11


@pytest.mark.parametrize("name", ["{", "}", "\\", "\\{", "{}}", "\\end{tabular}", "%", "a & b", "&&&"])
def test_latex_stays_well_formed(name):
    text = named(name).latex()
    bare = re.sub(r"\\[\\&%$#_{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert text.count(r"\end{tabular}") == 1
    rows = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len(rows) == 3
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [1, 1, 1]
    assert not re.search(r"(?<!\\)%", text)


@pytest.mark.parametrize("name", ["[0.5em] space", "*"])
def test_a_row_is_no_argument_of_the_one_before(name):
    assert f"{{}}{name} & 2 \\\\" in Sheet("", ("system", "EER"), (("first", "1"), (name, "2"))).latex()


def test_several_tables_in_a_file():
    text = latex([PLAIN, named("a_b")])
    assert text.startswith("% needs \\usepackage{booktabs}\n\\begin{table}\n")
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 2
    assert latex([]) == "% needs \\usepackage{booktabs}\n"
