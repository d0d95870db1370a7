import json

import pytest
import torch
from detectors.hub_models import save_model
from typer.testing import CliRunner

from deepcheck import store
from deepcheck.checkpoint import load_checkpoint, same_tensors
from deepcheck.cli.app import app
from deepcheck.files import sha256


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["models", *(str(argument) for argument in arguments)])
    assert result.exit_code == code, result.stderr or result.exception
    return result


def rows(result):
    """Cells of the listing by name of the model."""
    lines = [line.split() for line in result.stdout.splitlines()]
    return {cells[1 if cells[0] == "*" else 0]: cells for cells in lines if len(cells) > 1}


@pytest.fixture
def path_of(stored_model, home):
    def store_it(name, **settings):
        return home / "models" / f"{stored_model(name, **settings)}.safetensors"

    return store_it


def test_list_shows_what_there_is_and_marks_the_current_one(path_of):
    path_of("one")
    path_of("two")
    store.set_current("two")
    for result in (run(), run("list")):
        found = rows(result)
        assert found["two"][:3] == ["*", "two", "resnet18"]
        assert found["one"][:2] == ["one", "resnet18"]
        assert "12.50" in found["one"]  # dev EER
        assert f"{sum(t.numel() for t in load_checkpoint(path_of('one')).build().parameters()):,}" in found["one"]
        assert "--model" in result.stderr


def test_list_shows_what_is_wrong_with_a_file(home, path_of):
    path_of("good")
    (home / "models" / "bad.safetensors").write_bytes(b"PK\x03\x04 a pickle in a zip")
    found = rows(run("list"))
    assert "good" in found
    assert found["bad"][0] == "bad"
    assert "is not a safetensors file." in " ".join(run("list").stdout.split())


def test_show(path_of):
    path = path_of("mine", spoof=-1.5, bonafide=2.25)
    shown = " ".join(run("show", "mine").stdout.split())
    for words in (
        "name mine",
        f"SHA-256 {sha256(path)}",
        'detector resnet18 {"width": 4',
        "dev eer 0.1250",
        "spoof at -1.50, bona fide at +2.25",
        "on 500 bona fide and 400 spoof recordings",
    ):
        assert words in shown


def test_show_a_file_by_its_path(path_of, tmp_path):
    copy = tmp_path / "sent.safetensors"
    copy.write_bytes(path_of("mine").read_bytes())
    assert "mine" in run("show", copy).stdout


def test_show_as_json(path_of):
    path = path_of("mine", spoof=-1.5)
    document = json.loads(run("show", "mine", "--json").stdout)
    assert document["file"] == str(path)
    assert document["sha256"] == sha256(path)
    assert document["name"] == "mine"
    assert document["spec"]["name"] == "resnet18"
    assert document["thresholds"] == {"spoof": -1.5, "bonafide": 1.0}
    assert document["metrics"] == {"dev_eer": 0.125}


def test_show_needs_a_model_that_is_there():
    assert "There is no model" in run("show", "nobody", code=1).stderr


def test_use_makes_a_model_the_current_one(path_of):
    path_of("mine")
    assert run("use", "mine").stderr == "The current model is now mine.\n"
    assert store.current() == "mine"
    assert "There is no model" in run("use", "nobody", code=1).stderr
    assert store.current() == "mine"


def test_remove(path_of):
    path = path_of("mine")
    store.set_current("mine")
    assert run("remove", "mine").stderr == "Removed mine.\n"
    assert not path.exists()
    assert store.current() == store.DEFAULT
    assert "There is no model" in run("remove", "mine", code=1).stderr


def test_remove_takes_no_path(path_of, tmp_path):
    file = tmp_path / "precious.safetensors"
    file.write_bytes(path_of("mine").read_bytes())
    run("remove", file, code=1)
    assert file.exists()


def test_import(path_of, tmp_path, home):
    sent = tmp_path / "from-a-colleague.safetensors"
    sent.write_bytes(path_of("mine").read_bytes())
    assert run("import", sent).stderr == "Stored as from-a-colleague.\n"
    stored = load_checkpoint(home / "models" / "from-a-colleague.safetensors")
    assert stored.card.name == "from-a-colleague"
    assert same_tensors(stored.tensors, load_checkpoint(sent).tensors)
    assert "already" in run("import", sent, code=1).stderr
    run("import", sent, "--name", "another")
    assert store.resolve("another").path.exists()
    assert load_checkpoint(sent).card.name == "mine"  # what was sent stays as it is


def test_import_refuses_what_cannot_be_used(path_of, tmp_path, home):
    before = sorted((home / "models").glob("*")) if (home / "models").exists() else []
    torch.save({"x": 1}, tmp_path / "x.pt")
    assert "not a safetensors file" in run("import", tmp_path / "x.pt", code=1).stderr
    whole = path_of("mine").read_bytes()
    (tmp_path / "short.safetensors").write_bytes(whole[:-1])
    assert "is damaged" in run("import", tmp_path / "short.safetensors", code=1).stderr
    (tmp_path / "my model.safetensors").write_bytes(whole)
    assert "cannot be the name" in run("import", tmp_path / "my model.safetensors", code=1).stderr
    assert "cannot be read" in run("import", tmp_path / "nowhere.safetensors", code=1).stderr
    assert sorted((home / "models").glob("*")) == [*before, home / "models" / "mine.safetensors"]


def test_import_from_the_hub(tmp_path, home):
    save_model(tmp_path / "detector")
    result = run("import", f"hf:{tmp_path / 'detector'}", "--window", "1")
    assert result.stderr == "Its labels are taken so: bonafide=real,spoof=fake\nStored as detector.\n"
    stored = load_checkpoint(home / "models" / "detector.safetensors")
    assert (stored.card.name, stored.card.spec.name, stored.card.calibration) == ("detector", "hub", None)
    assert stored.card.parameters == sum(p.numel() for p in stored.build().parameters())
    assert str(tmp_path) not in json.dumps(stored.card.history) + json.dumps(stored.card.spec.arguments)
    assert "import: hf:detector, labels bonafide=real,spoof=fake" in " ".join(run("show", "detector").stdout.split())
    assert "hub" in rows(run())["detector"]
    assert "already" in run("import", f"hf:{tmp_path / 'detector'}", code=1).stderr


def test_import_from_the_hub_with_labels(tmp_path, home):
    save_model(tmp_path / "detector", labels=("LABEL_0", "LABEL_1"))
    place = f"hf:{tmp_path / 'detector'}"
    asked = run("import", place, code=1).stderr
    assert "LABEL_0, LABEL_1" in asked
    assert "--labels" in asked
    run("import", place, "--labels", "spoof=LABEL_0,bonafide=LABEL_1", "--name", "mine", "--window", 1)
    run("import", place, "--labels", "spoof=LABEL_1,bonafide=LABEL_0", "--name", "swapped", "--window", 1)
    sound = torch.randn(2, 16_000)
    mine, swapped = (load_checkpoint(store.place_of(name)).build() for name in ("mine", "swapped"))
    assert torch.equal(mine.score(sound), -swapped.score(sound))


def test_import_from_the_hub_refuses_what_cannot_be_used(tmp_path):
    assert "There is no folder" in run("import", f"hf:{tmp_path}/nowhere", code=1).stderr
    assert "no weights in the format safetensors" in run("import", f"hf:{tmp_path}", "--name", "x", code=1).stderr
    save_model(tmp_path / "short", "audio-spectrogram-transformer")
    assert "sees 1.01 s" in run("import", f"hf:{tmp_path}/short", code=1).stderr


def test_a_model_from_the_hub_is_calibrated_and_asked_for_its_opinion(tmp_path, corpus, stored_model):
    save_model(tmp_path / "theirs", labels=("A", "B"))
    for spoof, bonafide in ("AB", "BA"):  # of random weights, one order is better than chance
        labels = f"spoof={spoof},bonafide={bonafide}"
        run("import", f"hf:{tmp_path / 'theirs'}", "--name", spoof, "--labels", labels, "--window", 1)
    calibrated = [
        name
        for name in "AB"
        if CliRunner()
        .invoke(app, ["models", "calibrate", name, "--data", str(corpus), "--conditions", "none", "--device", "cpu"])
        .exit_code
        == 0
    ]
    [name] = calibrated
    arguments = ["scan", str(corpus / "bonafide"), "--model", f"{name}-calibrated", "--model", stored_model("own")]
    result = CliRunner().invoke(app, [*arguments, "--format", "jsonl", "--device", "cpu"])
    assert result.exit_code == 0, result.stderr
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(documents) == 12
    for document in documents:
        theirs, own = document["opinions"]
        assert (theirs["model"], own["model"]) == (f"{name}-calibrated", "own")
        low, high = sorted([theirs["llr"], own["llr"]])
        assert low <= document["llr"] <= high
        assert "uncalibrated" not in [note["name"] for note in document["notes"]]
