import json
import math
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from report_examples import BASIS, EMPTY, HOSTILE, INTERRUPTED, REPORT, SPLICED, TWO_MODELS, hostile

from deepcheck.files import exact
from deepcheck.metrics.calibration import Thresholds
from deepcheck.reports import REPORTS, jsonl
from deepcheck.reports.jsonl import SCHEMA, render
from deepcheck.scanner.result import FileResult, Report

DESCRIBED = json.loads(Path(jsonl.__file__).with_name("jsonl.schema.json").read_text(encoding="utf-8"))


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def parsed(text: str) -> list[dict]:
    assert text.endswith("\n") or not text
    return [json.loads(line, parse_constant=refuse) for line in text.split("\n")[:-1]]


def documents(*results: FileResult, basis=BASIS) -> list[dict]:
    return parsed(render(Report(results, basis)))


def test_document_of_a_scored_file():
    window = {"quality": "speech", "speech": 0.9}
    assert parsed(render(REPORT))[0] == {
        "schema": 2,
        "path": "in/spliced.mp3",
        "status": "scored",
        "verdict": "spoof",
        "llr": -1.25,
        "p_spoof": 0.777299,
        "duration_s": 12.0,
        "speech_s": 8.5,
        "suspicious": {"start_s": 2.0, "end_s": 6.0, "llr": -4.5},
        "stretches": [{"start_s": 2.0, "end_s": 6.0, "llr": -4.5}],
        "thresholds": {"spoof": -1.0, "bonafide": 1.0},
        "distance": 0.5,
        "notes": [
            {"name": "re-encoded", "text": "It was encoded more than once.", "band": None},
            {"name": "quiet", "text": "The level is low.", "band": None},
        ],
        "opinions": [],
        "container": {
            "format": "mp3",
            "codec": "mp3float",
            "sample_rate_hz": 44_100,
            "channels": 2,
            "bit_rate_bps": 128_000,
        },
        "windows": [
            {"start_s": 0.0, "end_s": 4.0, "llr": 2.0, **window}
            | {"snr_db": 20.0, "bandwidth_hz": 7000.0, "level_db": -30.0, "distance": 0.5},
            {"start_s": 2.0, "end_s": 6.0, "llr": -4.5, **window}
            | {"snr_db": 10.0, "bandwidth_hz": 7500.0, "level_db": -32.0, "distance": 0.75},
            {"start_s": 4.0, "end_s": 8.0, "llr": -0.5, **window}
            | {"snr_db": 15.0, "bandwidth_hz": 7600.0, "level_db": -34.0, "distance": 0.25},
            {"start_s": 6.0, "end_s": 10.0, "llr": 0.5, **window}
            | {"snr_db": 16.0, "bandwidth_hz": 7100.0, "level_db": -33.0, "distance": None},
            {"start_s": 8.0, "end_s": 12.0, "llr": None, "quality": "silent", "speech": 0.9}
            | {"snr_db": None, "bandwidth_hz": None, "level_db": -90.0, "distance": None},
        ],
        "reason": None,
        "sha256": "cd" * 32,
        "complete": True,
        "basis": {
            "model": "tiny",
            "model_sha256": "0123456789abcdef" * 4,
            "version": "0.1.0",
            "thresholds": {"spoof": -1.0, "bonafide": 1.0},
            "prior": 0.5,
            "false_alarm": 0.01,
            "miss": 0.05,
            "confidence": 0.95,
            "bonafide": 500,
            "spoof": 400,
            "bands": {
                "telephone": {"spoof": -3.0, "bonafide": 2.0},
                "noise": {"spoof": -2.0, "bonafide": 1.5},
            },
            "settings": {"prior": "0.5", "jobs": "2"},
            "created": "2026-03-14T09:30:00+00:00",
            "models": [],
        },
    }
    assert SCHEMA == 2


def test_document_of_a_file_without_a_score():
    document = parsed(render(REPORT))[3]
    assert document["status"] == "unreadable"
    assert document["reason"] == "the file is empty"
    assert document["windows"] == document["stretches"] == document["notes"] == document["opinions"] == []
    for key in ("verdict", "llr", "p_spoof", "duration_s", "speech_s", "suspicious", "sha256", "thresholds"):
        assert document[key] is None


def test_several_models():
    spliced, _, bad = parsed(render(TWO_MODELS))
    assert spliced["opinions"] == [
        {"model": "one", "llr": -3.0, "verdict": "spoof"},
        {"model": "two", "llr": 0.25, "verdict": "inconclusive"},
    ]
    assert bad["opinions"] == []
    assert [model["model_sha256"] for model in spliced["basis"]["models"]] == ["1" * 64, "2" * 64]
    assert spliced["basis"]["models"][0]["settings"] == {"prior": "0.5", "jobs": "2"}


def test_an_interrupted_scan_says_so():
    assert {document["complete"] for document in parsed(render(INTERRUPTED))} == {False}


def test_numbers_have_six_decimals():
    [document] = documents(replace(SPLICED, llr=-2.7182818, p_spoof=1 / 3))
    assert (document["llr"], document["p_spoof"]) == (-2.718282, 0.333333)


@pytest.mark.parametrize("threshold", [-math.inf, math.inf, math.nan])
def test_what_is_no_number_is_null(threshold):
    basis = replace(BASIS, thresholds=Thresholds(threshold, 1.0))
    assert documents(SPLICED, basis=basis)[0]["basis"]["thresholds"] == {"spoof": None, "bonafide": 1.0}


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_name_comes_back_exactly_from_its_own_line(name):
    text = render(hostile(name))
    found = parsed(text)
    assert [document["path"] for document in found] == [exact(Path("in") / name), exact(Path(name))]
    assert found[0]["notes"] == [{"name": name, "text": name, "band": name}]
    assert found[1]["reason"] == found[1]["basis"]["model"] == name
    assert found[0]["basis"]["settings"] == {name: name}
    # Nothing of it reaches a terminal, and any UTF-8 stream takes it.
    assert all(line.isprintable() for line in text.split("\n"))
    text.encode("utf-8")


def test_bytes_that_are_no_utf8_are_written_out():
    [document] = documents(FileResult(Path(os.fsdecode(b"caf\xe9.wav"))))
    assert document["path"] == "caf\\xe9.wav"


def test_other_writing_stays_readable():
    assert "音声 \\u202e" in render(Report((FileResult(Path("音声 \u202e.wav")),), BASIS))


def test_what_is_escaped_beyond_the_first_plane_comes_back():
    path = "\U000e0041.wav"  # a tag, invisible
    text = render(Report((FileResult(Path(path)),), BASIS))
    assert "\\udb40\\udc41" in text
    assert parsed(text)[0]["path"] == path


def test_no_results_no_lines():
    assert render(EMPTY) == ""


def test_it_is_in_the_table_of_formats():
    assert REPORTS.resolve("jsonl") is render


# --- the schema


TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
KNOWN = {
    *("$schema", "$defs", "$ref", "title", "description", "type", "required", "properties", "additionalProperties"),
    *("items", "anyOf", "enum", "const", "minimum", "maximum"),
}


def faults(value, schema, place="") -> list[str]:
    """Where a value is not what the schema says; of JSON Schema as much as ours needs."""
    assert schema.keys() <= KNOWN, f"{place}: this test does not know {schema.keys() - KNOWN}"
    found = []
    if "$ref" in schema:
        found += faults(value, DESCRIBED["$defs"][schema["$ref"].removeprefix("#/$defs/")], place)
    if "anyOf" in schema and all(faults(value, choice, place) for choice in schema["anyOf"]):
        found.append(f"{place} is none of the choices")
    types = schema.get("type", [])
    if types and not any(TYPES[kind](value) for kind in ([types] if isinstance(types, str) else types)):
        return [*found, f"{place} is no {types}"]
    if "const" in schema and value != schema["const"]:
        found.append(f"{place} is not {schema['const']}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{place} is none of {schema['enum']}")
    if value is not None and "minimum" in schema and value < schema["minimum"]:
        found.append(f"{place} is too small")
    if value is not None and "maximum" in schema and value > schema["maximum"]:
        found.append(f"{place} is too large")
    if isinstance(value, dict) and schema.get("type") == "object":
        found += [f"{place}.{key} is missing" for key in schema.get("required", []) if key not in value]
        for key, item in value.items():
            below = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            # Stricter than the schema, which lets later versions add fields: all of today's are described.
            found += [f"{place}.{key} is not described"] if below is None else faults(item, below, f"{place}.{key}")
    if isinstance(value, list) and "items" in schema:
        found += [fault for i, item in enumerate(value) for fault in faults(item, schema["items"], f"{place}[{i}]")]
    return found


@pytest.mark.parametrize(
    "report", [REPORT, TWO_MODELS, INTERRUPTED, hostile("=cmd()"), Report((SPLICED,), replace(BASIS, bonafide=None))]
)
def test_documents_are_as_the_schema_says(report):
    for document in parsed(render(report)):
        assert faults(document, DESCRIBED) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"schema": 1}, ".schema is not 2"),
        ({"status": None}, ".status is no string"),
        ({"verdict": "fake"}, ".verdict is none of"),
        ({"p_spoof": 1.5}, ".p_spoof is too large"),
        ({"duration_s": -1}, ".duration_s is too small"),
        ({"windows": [{}]}, ".windows[0].start_s is missing"),
        ({"thresholds": []}, ".thresholds is none of the choices"),
        ({"complete": 1}, ".complete is no boolean"),
        ({"surprise": 1}, ".surprise is not described"),
    ],
)
def test_the_test_of_the_schema_finds_faults(change, fault):
    # Otherwise the one before would be worth nothing.
    found = faults(parsed(render(REPORT))[0] | change, DESCRIBED)
    assert any(text.startswith(fault) for text in found), found


def described(schema):
    """Every schema of a field, wherever it stands."""
    for kind in (schema, *schema.get("$defs", {}).values()):
        yield from kind.get("properties", {}).items()


def test_every_field_is_described_in_a_sentence_and_always_there():
    fields = list(described(DESCRIBED))
    assert len(fields) > 50
    for name, field in fields:
        assert re.fullmatch(r"[A-Z`].*\.", field["description"], re.DOTALL), name
    for kind in (DESCRIBED, *DESCRIBED["$defs"].values()):
        assert kind["required"] == list(kind["properties"])
    assert DESCRIBED["properties"]["schema"]["const"] == SCHEMA
