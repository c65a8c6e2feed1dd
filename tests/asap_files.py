"""ASAP files as tests write them, and as ASAP reads them."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

KEY = "0123456789abcdef0123"  # of a prompt that never was
Save = Callable[..., Path]


def annotation(kind: str, *xy: tuple[object, object], group: str = "None", name: str = "mine", first: int = 0) -> str:
    """Write an annotation as ASAP does."""
    rows = "".join(f'<Coordinate Order="{n}" X="{x}" Y="{y}" />' for n, (x, y) in enumerate(xy, first))
    head = f'Name="{name}" Type="{kind}" PartOfGroup="{group}" Color="#F4FA58"'
    return f"<Annotation {head}><Coordinates>{rows}</Coordinates></Annotation>"


def group(name: str, parent: str = "None") -> str:
    """Write a group as ASAP does."""
    return f'<Group Name="{name}" PartOfGroup="{parent}" Color="#aa0000"><Attributes /></Group>'


def asap_file(path: Path, *annotations: str, groups: tuple[str, ...] = ()) -> Path:
    """Save annotations and groups."""
    lists = f"<Annotations>{''.join(annotations)}</Annotations><AnnotationGroups>{''.join(groups)}</AnnotationGroups>"
    path.write_text(f'<?xml version="1.0"?>\n<ASAP_Annotations>{lists}</ASAP_Annotations>\n', encoding="utf-8")
    return path


def load(path: Path) -> tuple[list[ET.Element], dict[str, ET.Element]]:
    """Load a file by ASAP's rules: known groups, types as written, Order as an index."""
    root = ET.parse(path).getroot()
    assert root.tag == "ASAP_Annotations"
    groups = {g.attrib["Name"]: g for g in root.findall("AnnotationGroups/Group")}
    annotations = root.findall("Annotations/Annotation")
    assert all(element.attrib["PartOfGroup"] in {"None", *groups} for element in (*annotations, *groups.values()))
    for element in annotations:
        orders = [int(c.attrib["Order"]) for c in element.findall("Coordinates/Coordinate")]
        assert sorted(orders) == list(range(len(orders)))
        assert element.attrib["Type"] in {"Dot", "Polygon", "Spline", "PointSet", "Measurement", "Rectangle"}
    return annotations, groups


def ring_of(element: ET.Element) -> list[tuple[float, float]]:
    """Give the coordinates of an annotation as they stand there."""
    return [(float(c.attrib["X"]), float(c.attrib["Y"])) for c in element.findall("Coordinates/Coordinate")]
