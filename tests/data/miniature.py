"""Corpora the size of a thumb: folders with empty files where the archives have recordings."""


def touch(root, *names):
    """An empty file for each name (relative to `root`), and the folders that it needs; `root` for convenience."""
    for name in names:
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    return root


def write(root, name, text):
    """The file `name` below `root` with `text` in it, and the folders that it needs; `root` for convenience."""
    touch(root, name)
    (root / name).write_text(text)
    return root


def rows(protocol, *keys):
    """The id, label and values of `keys` of each utterance, sorted."""
    return sorted(
        (u.id, u.label.name.lower() if u.label is not None else None, *map(u.get, keys)) for u in protocol.utterances
    )
