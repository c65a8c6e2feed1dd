"""Show the tutorial notebook as a page of the site: a hook of MkDocs, in place of a plugin with forty dependencies."""

import json
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

NOTEBOOK = "tutorial.ipynb"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page made from the notebook; the notebook itself stays a file to download."""
    notebook = json.loads((Path(config.docs_dir) / NOTEBOOK).read_text(encoding="utf-8"))
    cells = "\n\n".join(_to_markdown(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"])
    files.append(File.generated(config, "tutorial.md", content=cells))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Point links to the notebook, which are right on GitHub, to the page made from it."""
    return markdown.replace(f"]({NOTEBOOK})", "](tutorial.md)")


def _to_markdown(kind: str, source: str) -> str:
    return source if kind == "markdown" else f"```python\n{source}\n```"
