"""Options and other plain data as values that a reader of JSON can use."""

from collections.abc import Collection, Mapping, Set
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from nuclick_qp.plain_text import encodable


def json_value(value: object) -> Any:
    """Turn plain data into what JSON has: numbers, texts, lists, mappings, null.

    Dataclasses become mappings, sets become sorted lists, paths become texts.

    Raises
    ------
    TypeError
        If there is something else in it.

    Examples
    --------
    >>> json_value({"to": Path("a/b"), "kinds": frozenset({"line"}), "mpp": None})
    {'to': 'a/b', 'kinds': ['line'], 'mpp': None}
    """
    if is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    match value:
        case None | bool() | int() | float():
            return value
        case str() | Path():
            return encodable(str(value))
        case Mapping():
            return {str(name): json_value(item) for name, item in value.items()}
        case Set():
            return sorted(json_value(item) for item in value)
        case Collection():
            return [json_value(item) for item in value]
        case _:
            raise TypeError(f"{value!r} has no place in a record")
