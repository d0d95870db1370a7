"""Folds that share no source, no system and no copy: for protocols of every shape, and one by hand."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepcheck.data.folds import folds
from deepcheck.data.utterance import Label, Protocol, Utterance
from deepcheck.errors import DataError


def genuine(name, source=None, **tags):
    return Utterance(name, Path(name), Label.BONAFIDE, source=source, tags=tags)


def spoof(name, source=None, system=None, pair=None):
    return Utterance(name, Path(name), Label.SPOOF, attack=system, source=source, pair=pair)


def protocol(*utterances):
    return Protocol("toy", None, utterances)


def ids(part):
    return [utterance.id for utterance in part.utterances]


@st.composite
def protocols(draw):
    """Sources of all sizes and both kinds; systems that several share; copies of what is there and of what is not."""
    utterances = []
    for source in range(draw(st.integers(4, 9))):
        utterances += [genuine(f"g{source}-{number}", f"site{source}") for number in range(draw(st.integers(1, 4)))]
        for number in range(draw(st.integers(0, 4))):
            system = draw(st.sampled_from([f"own{source}", None, "shared"]))
            utterances.append(spoof(f"s{source}-{number}", f"site{source}", system))
    everyone = [*ids(protocol(*utterances)), "nobody"]
    for number in range(draw(st.integers(0, 5))):
        pair = draw(st.sampled_from(everyone))
        utterances.append(spoof(f"c{number}", "vocoder", draw(st.sampled_from(["vocoder", "shared"])), pair))
    utterances.append(Utterance("unlabelled", Path("x"), None, source="site0"))
    return protocol(*draw(st.permutations(utterances)))


@given(protocols(), st.integers(2, 4), st.integers(0, 3))
def test_what_is_tested_was_not_heard_in_any_way(everything, count, seed):
    try:
        found = folds(everything, count, seed=seed)
    except DataError:
        return
    copies = {u.id for u in everything.utterances if u.pair}
    tested = [u.id for fold in found for u in fold.test.utterances]
    assert sorted(tested) == sorted(u.id for u in everything.utterances if u.label is not None and u.id not in copies)
    for fold in found:
        inside = fold.test.utterances
        for utterance in fold.train.utterances:
            assert utterance.label is not None
            assert utterance.source not in {u.source for u in inside}
            assert utterance.pair not in {u.id for u in inside}
            if utterance.label is Label.SPOOF and utterance.attack:
                assert utterance.attack not in {u.attack for u in inside}
        for part in (fold.train, fold.test):
            assert set(part.counts()) == set(Label)
            order = ids(everything)
            assert ids(part) == sorted(ids(part), key=order.index)


@given(protocols(), st.integers(0, 3))
def test_who_is_where_depends_on_names_and_seed_alone(everything, seed):
    try:
        found = folds(everything, 2, seed=seed)
    except DataError:
        return
    backwards = Protocol("other name", "x", everything.utterances[::-1])
    for one, other in zip(found, folds(backwards, 2, seed=seed), strict=True):
        assert ids(one.train) == ids(other.train)[::-1]
        assert ids(one.test) == ids(other.test)[::-1]


def test_labels_and_sources_with_both_are_spread():
    both = [u for s in range(8) for u in (genuine(f"g{s}", f"both{s}"), spoof(f"s{s}", f"both{s}", f"A{s}"))]
    alone = [genuine(f"a{s}-{i}", f"alone{s}") for s in range(8) for i in range(1 + s % 2)]
    engines = [spoof(f"e{s}-{i}", f"engine{s}", f"E{s}") for s in range(4) for i in range(3)]
    for fold in folds(protocol(*both, *alone, *engines), 4):
        sources = {u.source for u in fold.test.utterances}
        assert sum(source.startswith("both") for source in sources) == 2
        assert fold.test.counts() == {Label.BONAFIDE: 5, Label.SPOOF: 5}


def test_copies_serve_training_where_their_original_does():
    sites = [u for s in range(4) for u in (genuine(f"g{s}", f"site{s}"), spoof(f"s{s}", f"site{s}", f"A{s}"))]
    copies = [spoof(f"c{s}", "engine", "vocoder", f"g{s}") for s in range(4)]
    orphan = spoof("orphan", "engine", "vocoder", "elsewhere")
    for fold in folds(protocol(*sites, *copies, orphan), 2):
        originals = {u.id for u in fold.train.utterances if u.label is Label.BONAFIDE}
        assert {u.pair for u in fold.train.utterances if u.pair} == originals | {"elsewhere"}
        assert not [u for u in fold.test.utterances if u.pair]


def test_a_system_that_is_tested_teaches_nothing():
    sites = [u for s in range(4) for u in (genuine(f"g{s}", f"site{s}"), spoof(f"s{s}", f"site{s}", f"A{s}"))]
    twin = [genuine("gt", "twin"), spoof("st", "twin", "A0"), spoof("sx", "twin")]
    copy = spoof("c", "engine", "A0", "gt")
    for fold in folds(protocol(*sites, *twin, copy), 3):
        tested = {u.attack for u in fold.test.utterances}
        assert ("A0" in {u.attack for u in fold.train.utterances}) == ("A0" not in tested and "gt" in ids(fold.train))


def test_by_any_column_and_what_the_parts_are_called():
    spoken = [
        u
        for i, language in enumerate(("de", "en", "fr", "pl"))
        for u in (
            genuine(f"g{i}", language=language),
            Utterance(f"s{i}", Path("x"), Label.SPOOF, tags={"language": language}),
        )
    ]
    first, second = folds(protocol(*spoken), 2, by="language")
    assert len({u.get("language") for u in first.test.utterances}) == 2
    assert first.test.describe() == "toy (fold 1 of 2 by language): 2 bona fide, 2 spoof"
    assert second.train.describe() == "toy (all but fold 2 of 2 by language): 2 bona fide, 2 spoof"


@pytest.mark.parametrize(
    ("utterances", "count", "message"),
    [
        ([genuine("g", "a"), spoof("s", "b")], 1, "cannot be divided into 1 folds"),
        (
            [genuine("g", "a"), spoof("s", "a")],
            2,
            "of all but fold 1 of 2 by source no spoof recording would be left to train",
        ),
        ([genuine("g", "a"), genuine("h", "b"), spoof("s", "b")], 2, "no spoof recording would be left"),
        (
            [genuine("g", "a"), genuine("h", "b"), spoof("s", "a", "A"), spoof("t", "b", "A")],
            2,
            "of all but fold 1 of 2 by source no spoof recording would be left to train on",
        ),
    ],
)
def test_what_cannot_be_divided(utterances, count, message):
    with pytest.raises(DataError, match=message) as caught:
        folds(protocol(*utterances), count)
    assert caught.value.hint
