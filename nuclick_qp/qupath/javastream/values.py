"""Java's own small classes as Python values: strings, numbers, lists, maps."""

import struct

from nuclick_qp.errors import UnreadableDataError
from nuclick_qp.qupath.javastream.nodes import END, Block, EndBlock, Item, JavaArray, JavaObject, JavaString

_FORMATS = {code: struct.Struct(f">{form}") for code, form in (("I", "i"), ("D", "d"), ("Z", "?"), ("F", "f"))}


def class_name(item: Item) -> str:
    """Give the class of an object or array; empty for null and texts."""
    return item.desc.name if isinstance(item, JavaObject | JavaArray) else ""


def text(item: Item) -> str:
    """Give a string.

    Raises
    ------
    UnreadableDataError
        If the node is something else, as do all functions here.
    """
    if isinstance(item, JavaString):
        return item.text
    raise UnreadableDataError(f"a text was expected, not {_what(item)}")


def optional_text(item: Item) -> str | None:
    """Give a string, or None for null."""
    return None if item is None else text(item)


def field(node: JavaObject, name: str) -> Item:
    """Give an object field."""
    place, _, _ = node.desc.locate(name)
    return node.data[place]


def number(node: JavaObject, name: str) -> float:
    """Give a primitive field of type int, double, float or boolean."""
    place, offset, code = node.desc.locate(name)
    raw = node.data[place]
    if code not in _FORMATS or not isinstance(raw, bytes):
        raise UnreadableDataError(f"the field {name!r} of class {node.desc.name!r} is no number")
    value: float = _FORMATS[code].unpack_from(raw, offset)[0]
    return value


def an_object(item: Item, what: str) -> JavaObject:
    """Insist on an object."""
    if isinstance(item, JavaObject):
        return item
    raise UnreadableDataError(f"{what} was expected, not {_what(item)}")


def boxed(item: Item, java_class: str) -> float:
    """Give the value of a `java.lang.Integer`, `Boolean` or `Double`."""
    if class_name(item) != java_class:
        raise UnreadableDataError(f"a {java_class} was expected, not {_what(item)}")
    return number(an_object(item, java_class), "value")


def elements(item: Item) -> list[Item]:
    """Give the elements of an array of objects."""
    if isinstance(item, JavaArray) and isinstance(item.values, list):
        return item.values
    raise UnreadableDataError(f"an array of objects was expected, not {_what(item)}")


def primitives(item: Item, java_class: str) -> bytes:
    """Give the big-endian bytes of an array such as ``[F``."""
    if isinstance(item, JavaArray) and isinstance(item.values, bytes) and item.desc.name == java_class:
        return item.values
    raise UnreadableDataError(f"an array {java_class} was expected, not {_what(item)}")


def list_items(item: Item) -> list[Item]:
    """Give the elements of a `java.util` list: growable, unmodifiable or immutable."""
    name = class_name(item)
    for _ in range(4):  # an unmodifiable list holds another list
        if name not in ("java.util.Collections$UnmodifiableList", "java.util.Collections$UnmodifiableRandomAccessList"):
            break
        item = field(an_object(item, "a list"), "list")
        name = class_name(item)
    node = an_object(item, "a list")
    match name:
        case "java.util.ArrayList" | "java.util.CollSer":
            return _annotation(node)[1]
        case "java.util.Collections$EmptyList":
            return []
        case "java.util.Arrays$ArrayList":
            return elements(field(node, "a"))
    raise UnreadableDataError(f"a list is of class {name!r}, which is not known")


def map_items(item: Item) -> list[tuple[Item, Item]]:
    """Give the pairs of a `java.util.HashMap` or `LinkedHashMap`, in the order of the file."""
    if class_name(item) not in ("java.util.HashMap", "java.util.LinkedHashMap"):
        raise UnreadableDataError(f"a map was expected, not {_what(item)}")
    _, items = _annotation(an_object(item, "a map"))
    if len(items) % 2:
        raise UnreadableDataError("a map has a key without a value")
    return list(zip(items[::2], items[1::2], strict=True))


def _annotation(node: JavaObject) -> tuple[bytes, list[Item]]:
    """Give the first annotation: its leading block, and the objects after it."""
    try:
        end = node.data.index(END)
    except ValueError:
        raise UnreadableDataError(f"an object of class {node.desc.name!r} has no contents") from None
    place = next((i for i, item in enumerate(node.data[:end]) if type(item) is Block), None)
    items = [] if place is None else node.data[place + 1 : end]
    if place is None or any(isinstance(item, bytes) for item in items):
        raise UnreadableDataError(f"the contents of class {node.desc.name!r} are in a form that is not known")
    block = node.data[place]
    return block if isinstance(block, bytes) else b"", items


def _what(item: Item) -> str:
    """Name a node in an error message."""
    if item is None:
        return "null"
    if isinstance(item, JavaString):
        return "a text"
    if isinstance(item, bytes | EndBlock):
        return "numbers"
    return f"class {item.desc.name!r}" if item.desc else "a class"
