"""A page as a browser would build it: enough of a tree to ask what is an element and what is text."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "link", "input", "img", "br", "wbr", "hr"}


@dataclass
class Node:
    """An element; `parts` are elements and strings in order."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    parts: list["Node | str"] = field(default_factory=list)

    def __iter__(self) -> Iterator["Node"]:
        """This element and all below it."""
        yield self
        for part in self.parts:
            if isinstance(part, Node):
                yield from part

    def all(self, tag: str | None = None, **attributes: str) -> list["Node"]:
        """Elements below by tag and attributes; `class_` is one of its classes, `data_x` stands for `data-x`."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [node for node in self if tag in (None, node.tag) and all(node._has(*item) for item in wanted.items())]

    def one(self, tag: str | None = None, **attributes: str) -> "Node":
        """The only such element."""
        [found] = self.all(tag, **attributes)
        return found

    @property
    def text(self) -> str:
        """All text in it, spaces as a browser shows them; scripts and styles are no text."""
        return " ".join(self._text().split())

    def _text(self) -> str:
        if self.tag in ("script", "style"):
            return ""
        return "".join(part if isinstance(part, str) else part._text() for part in self.parts)

    def _has(self, name: str, value: str) -> bool:
        found = self.attributes.get(name)
        return found is not None and (value in found.split() if name == "class" else value == found)


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Node("document")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        assert len(node.attributes) == len(attrs), f"an attribute twice in <{tag}>"
        self.open[-1].parts.append(node)
        if tag not in _VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].parts.append(Node(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        closed = self.open.pop()
        assert closed.tag == tag, f"</{tag}> closes <{closed.tag}>"

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)


def parse(html: str) -> Node:
    """The whole document; every element must be closed in its place."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    assert builder.open == [builder.root], "an element is never closed"
    return builder.root
