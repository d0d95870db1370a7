from pathlib import Path

import pytest

from deepcheck import store
from deepcheck.errors import ModelError
from deepcheck.files import sha256


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A package with one shipped model, called default."""
    place = tmp_path / "weights"
    place.mkdir()
    (place / "shipped.safetensors").write_bytes(b"weights")
    digest = sha256(place / "shipped.safetensors")
    (place / "catalogue.yaml").write_text(f"default:\n  file: shipped.safetensors\n  sha256: {digest}\n")
    monkeypatch.setattr(store, "_weights_dir", lambda: place)
    store.shipped.cache_clear()
    yield place
    store.shipped.cache_clear()


@pytest.fixture
def none_shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_weights_dir", lambda: tmp_path / "no weights")
    store.shipped.cache_clear()
    yield
    store.shipped.cache_clear()


def own(home, name):
    place = home / "models" / f"{name}.safetensors"
    place.parent.mkdir(exist_ok=True)
    place.write_text(name)
    return place


def test_home_is_where_the_variable_says(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    for value, place in ((str(tmp_path), tmp_path), ("~/models", Path("/home/someone/models"))):
        monkeypatch.setenv("DEEPCHECK_HOME", value)
        assert store.home() == place
    monkeypatch.delenv("DEEPCHECK_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", "/home/someone/data")
    assert store.home().name == "deepcheck"
    assert store.home().is_relative_to("/home/someone") or not Path("/proc").exists()


def test_shipped_models_come_first(weights, home):
    own(home, "zebra")
    own(home, "ant")
    assert [(e.name, e.shipped) for e in store.entries()] == [("default", True), ("ant", False), ("zebra", False)]


def test_a_file_that_is_being_written_is_no_model(none_shipped, home):
    own(home, "ant").with_name(".ant.safetensors.x8d2").touch()
    assert [e.name for e in store.entries()] == ["ant"]


def test_resolve_takes_the_current_model_else_the_shipped_one(weights, home):
    own(home, "mine")
    assert store.resolve() == store.Entry("default", weights / "shipped.safetensors", True)
    store.set_current("mine")
    assert store.current() == "mine"
    assert store.resolve() == store.Entry("mine", home / "models" / "mine.safetensors", False)
    assert store.resolve("default").shipped


def test_a_stored_name_goes_before_a_file_of_that_name(none_shipped, home, tmp_path, monkeypatch):
    own(home, "mine")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").touch()
    assert store.resolve("mine").path == home / "models" / "mine.safetensors"


def test_files_are_taken_by_their_path(none_shipped, tmp_path, monkeypatch):
    file = tmp_path / "sent.safetensors"
    file.touch()
    monkeypatch.chdir(tmp_path)
    for name in (str(file), "sent.safetensors", "./sent.safetensors"):
        entry = store.resolve(name)
        assert (entry.name, entry.shipped) == ("sent", False)
        assert entry.path.resolve() == file
    with pytest.raises(ModelError, match=r"There is no model file .*gone\.safetensors"):
        store.resolve("gone.safetensors")
    with pytest.raises(ModelError, match="There is no model file"):
        store.resolve("folder/model")


def test_an_unknown_name_gets_the_nearest(weights, home):
    own(home, "interviews")
    with pytest.raises(ModelError, match='There is no model "interview"') as caught:
        store.resolve("interview")
    assert caught.value.hint == 'Did you mean "interviews"? There are: default, interviews.'


def test_no_current_model_at_all_says_how_to_choose(none_shipped, home):
    own(home, "mine")
    with pytest.raises(ModelError, match='There is no model "default"') as caught:
        store.resolve()
    assert caught.value.hint == "There are: mine. Choose one with: deepcheck models use NAME."


def test_a_shipped_file_must_be_what_was_shipped(weights):
    store.resolve("default")
    (weights / "shipped.safetensors").write_bytes(b"weighty")
    with pytest.raises(ModelError, match="has been changed or damaged") as caught:
        store.resolve("default")
    assert "Install deepcheck again" in caught.value.hint
    with pytest.raises(ModelError, match="has been changed or damaged"):
        store.resolve()


@pytest.mark.parametrize("name", ["a", "A-1.2_b+c", "9", "x" * 100])
def test_names(name, home, none_shipped):
    assert store.place_of(name) == home / "models" / f"{name}.safetensors"
    assert store.run_dir(name) == home / "runs" / name


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b", "a\\b", "a b", "ü", "x" * 101, "-x", "a\n"])
def test_names_that_would_leave_the_folder_are_refused(name, none_shipped):
    for ask in (store.place_of, store.run_dir):
        with pytest.raises(ModelError, match="cannot be the name of a model"):
            ask(name)


def test_a_shipped_name_is_taken(weights):
    with pytest.raises(ModelError, match="is the name of a shipped model"):
        store.place_of("default")


def test_current_must_exist(weights, home):
    with pytest.raises(ModelError, match="There is no model"):
        store.set_current("nobody")
    assert store.current() == "default"


def test_current_is_a_name_and_no_file(weights, tmp_path, monkeypatch):
    # A path would mean another file, or none, in the next folder.
    (tmp_path / "sent.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    for name in ("./sent.safetensors", "sent.safetensors", str(tmp_path / "sent.safetensors")):
        with pytest.raises(ModelError, match="There is no model"):
            store.set_current(name)
    assert store.current() == "default"


def test_remove(weights, home):
    mine, other = own(home, "mine"), own(home, "other")
    store.set_current("mine")
    store.remove("other")
    assert (other.exists(), store.current()) == (False, "mine")
    store.remove("mine")
    assert (mine.exists(), store.current()) == (False, "default")
    with pytest.raises(ModelError, match="came with the package"):
        store.remove("default")
    assert (weights / "shipped.safetensors").exists()
    with pytest.raises(ModelError, match="There is no model"):
        store.remove("mine")


def test_with_a_model_goes_the_graph_that_was_made_of_it(none_shipped, home):
    mine, other = own(home, "mine"), own(home, "other")
    other.write_bytes(b"other weights")
    graphs = [store.place_of_graph(store.sha256(path)) for path in (mine, other)]
    for graph in graphs:
        graph.parent.mkdir(exist_ok=True)
        graph.touch()
    store.remove("mine")
    assert [graph.exists() for graph in graphs] == [False, True]


def test_remove_touches_only_the_store(none_shipped, tmp_path, monkeypatch):
    file = tmp_path / "precious.safetensors"
    file.touch()
    monkeypatch.chdir(tmp_path)
    for name in (str(file), "./precious.safetensors", "precious.safetensors"):
        with pytest.raises(ModelError, match="There is no model"):
            store.remove(name)
    assert file.exists()


def test_every_row_of_the_real_catalogue_is_whole():
    store.shipped.cache_clear()
    for name, row in store.shipped().items():
        assert store.checked_name(name) == name
        assert store.resolve(name).path.name == row["file"]
