from pathlib import Path

import pytest

from deepcheck.data.split import hold_out
from deepcheck.data.utterance import Label, Protocol, Utterance
from deepcheck.errors import DataError


def made_up(sources=20, per_source=5, speaker=None):
    """Sources alternate between both labels and genuine alone."""
    utterances = []
    for s in range(sources):
        for i in range(per_source):
            name = f"g{s}-{i}"
            utterances.append(Utterance(name, Path(name), Label.BONAFIDE, source=f"site{s}", speaker=speaker))
            if s % 2:
                utterances.append(Utterance(f"s{s}-{i}", Path("x"), Label.SPOOF, source=f"site{s}", attack=f"A{i}"))
    return Protocol("toy", None, tuple(utterances))


def ids(protocol):
    return {u.id for u in protocol.utterances}


@pytest.mark.parametrize("share", [0.05, 0.15, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_shares_are_reached_with_whole_sources(share, seed):
    everything = made_up()
    rest, out = hold_out(everything, share, "source", seed)
    assert ids(rest) | ids(out) == ids(everything)
    assert not ids(rest) & ids(out)
    assert not {u.source for u in rest.utterances} & {u.source for u in out.utterances}
    for label in Label:
        total, held = everything.counts()[label], out.counts()[label]
        # At least the share; sources that hold both labels may come late, when one label has enough already.
        assert share * total <= held <= share * total + 25
    assert out.subset == f"{share:.0%} held out by source"
    assert rest.subset is None


def test_large_sources_are_held_out_last():
    sizes = {"vast": 60, **{f"small{i}": 4 for i in range(30)}}
    everything = Protocol(
        "toy",
        None,
        tuple(
            Utterance(f"{source}-{label.name}-{i}", Path("x"), label, source=source)
            for source, size in sizes.items()
            for label in Label
            for i in range(size)
        ),
    )
    for seed in range(8):
        _, out = hold_out(everything, 0.3, "source", seed)  # 54 of each label wanted: "vast" alone would do
        assert "vast" not in {u.source for u in out.utterances}
        assert len({u.source for u in out.utterances}) == 14


def test_order_is_kept():
    everything = made_up()
    rest, out = hold_out(everything, 0.3)
    order = {u.id: i for i, u in enumerate(everything.utterances)}
    for part in (rest, out):
        assert [order[u.id] for u in part.utterances] == sorted(order[u.id] for u in part.utterances)


def test_the_choice_depends_on_names_and_seed_alone():
    everything = made_up()
    backwards = Protocol("other name", None, everything.utterances[::-1])
    assert ids(hold_out(everything, 0.2)[1]) == ids(hold_out(backwards, 0.2)[1])
    choices = {frozenset(u.source for u in hold_out(everything, 0.2, seed=seed)[1].utterances) for seed in range(6)}
    assert len(choices) > 3


def test_copies_follow_their_genuine_recording():
    genuine = [Utterance(f"g{i}", Path("g"), Label.BONAFIDE, source=f"site{i % 10}") for i in range(40)]
    # The copies have a source of their own, which alone would tear them from their originals.
    copies = [Utterance(f"s{i}", Path("s"), Label.SPOOF, source="vocoder", pair=f"g{i}") for i in range(40)]
    for seed in range(3):
        rest, out = hold_out(Protocol("toy", None, (*genuine, *copies)), 0.25, seed=seed)
        for part in (rest, out):
            assert {u.pair for u in part.utterances if u.pair} == {u.id for u in part.utterances if not u.pair}
        assert out.counts()[Label.SPOOF] == out.counts()[Label.BONAFIDE] == 12


def test_a_pair_that_is_not_in_the_set_is_no_pair():
    utterances = tuple(
        Utterance(f"{label.name}{i}", Path("x"), label, source=f"site{i}", pair="elsewhere")
        for label in Label
        for i in range(10)
    )
    rest, out = hold_out(Protocol("toy", None, utterances), 0.2)
    assert out.counts() == {Label.SPOOF: 2, Label.BONAFIDE: 2}
    assert rest.counts() == {Label.SPOOF: 8, Label.BONAFIDE: 8}


def test_by_any_column_and_one_by_one_without():
    utterances = tuple(
        Utterance(f"{label.name}{i}", Path("x"), label, tags={"language": "de" if i < 5 else "en"} if i < 10 else {})
        for label in Label
        for i in range(20)
    )
    protocol = Protocol("toy", None, utterances)
    for seed in range(5):
        _, out = hold_out(protocol, 0.1, "language", seed)
        languages = [u.get("language") for u in out.utterances]
        assert languages.count("de") in (0, 10)
        assert languages.count("en") in (0, 10)
    _, out = hold_out(protocol, 0.1, "nonsense")
    assert out.counts() == {Label.SPOOF: 2, Label.BONAFIDE: 2}


@pytest.mark.parametrize("share", [0.0, 1.0, 2.0])
def test_an_empty_part_is_an_error(share):
    with pytest.raises(DataError, match="one part would lack a label") as caught:
        hold_out(made_up(), share)
    assert "data.dev" in caught.value.hint


def test_one_source_cannot_be_split():
    with pytest.raises(DataError, match="cannot be held out by source"):
        hold_out(made_up(sources=2), 0.2)
    # The same recordings one by one can.
    hold_out(made_up(sources=2), 0.2, by="language")
