"""The kinds of prompts, of objects and of re-runs; options name them, so this module loads nothing."""

from typing import Literal

PromptKind = Literal["point", "line"]
ObjectKind = Literal["detection", "annotation", "cell"]
# Which outlines of earlier runs a run replaces: none, all but those that the user edited, or all.
Overwrite = Literal["none", "unedited", "edited"]
# Whether an image without a pixel size gets that which the objects under its clicks tell, or is refused.
Scale = Literal["auto", "given"]
PROMPT_KINDS: tuple[PromptKind, ...] = ("point", "line")
OBJECT_KINDS: tuple[ObjectKind, ...] = ("detection", "annotation", "cell")
