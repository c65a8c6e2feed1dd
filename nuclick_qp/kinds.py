"""The kinds of prompts and of objects; options name them, so this module loads nothing."""

from typing import Literal

PromptKind = Literal["point", "line"]
ObjectKind = Literal["detection", "annotation", "cell"]
OBJECT_KINDS: tuple[ObjectKind, ...] = ("detection", "annotation", "cell")
