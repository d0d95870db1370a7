import time
import tracemalloc

import pytest

from deepcheck.config import load_config
from deepcheck.errors import ConfigError
from deepcheck.yaml_text import parse_yaml

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MERGES = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}], k{n}: 1}}\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LAUGHS, "more than 20,000 values"),
        (MERGES, "more than 20,000 values"),
        ("a: &a [*a]", "nested too deeply"),
        ("a: &a {b: *a}", "nested too deeply"),
        ("[" * 60_000, "nested too deeply"),
        ("{a: " * 300 + "1" + "}" * 300, "nested too deeply"),
        ("- " * 60 + "x", "nested too deeply"),
        ("x" * 300_000, "too long"),
        ("a: 1\na: 2", '"a" is set twice'),
        ("a: {b: 1, b: 2}", '"b" is set twice'),
        ("a: !!python/object/apply:os.system [echo]", "not valid YAML"),
        ("a: !!python/name:os.system", "not valid YAML"),
        ("a: 2001-99-99", "not valid YAML"),
        ("a: !!bool maybe", "not valid YAML"),
        ("a: !!int x", "not valid YAML"),
        ("a: !!float x", "not valid YAML"),
        ("a: " + "9" * 5000, "not valid YAML"),
        ("? {a: 1}\n: 2", "not valid YAML"),
        ("a: 1\n---\nb: 2", "not valid YAML"),
        ("a: [", "not valid YAML"),
        ("a: \x00", "not valid YAML"),
    ],
    ids=range(21),
)
def test_what_is_no_settings_is_refused_in_a_sentence_and_little_memory(text, reason):
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(ConfigError, match=reason) as caught:
        parse_yaml(text, "it.yaml")
    assert caught.value.message.startswith("it.yaml ")
    assert len(caught.value.message) < 500
    assert tracemalloc.get_traced_memory()[1] < 40e6
    assert time.process_time() - began < 5
    tracemalloc.stop()


def test_what_people_write_is_read():
    text = "base: &base {lr: 0.1, steps: [1, 2]}\nmine: {<<: *base, lr: 0.2}\nother: *base\n"
    base = {"lr": 0.1, "steps": [1, 2]}
    assert parse_yaml(text, "it") == {"base": base, "mine": {**base, "lr": 0.2}, "other": base}
    assert parse_yaml("", "it") is None
    assert parse_yaml("- a\n- 1e-3\n- null", "it") == ["a", "1e-3", None]


def test_a_recipe_from_a_stranger_costs_nothing(tmp_path):
    (tmp_path / "r.yaml").write_text(LAUGHS)
    with pytest.raises(ConfigError, match=r"r\.yaml stands for more than 20,000 values"):
        load_config(tmp_path / "r.yaml")


def test_a_setting_that_is_no_yaml_is_taken_as_text():
    assert load_config(None, ["description=[", "name=a: b: c"]).description == "["
