"""How the site is made of the pages; `tools/website.py` lays them out and runs this."""

import inspect

from sphinx.util.typing import stringify_annotation

import reelated

project = "Reelated"
author = project_copyright = "The Reelated authors"
version = release = reelated.__version__
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 4  # the addresses of headings are those that a repository's host gives
highlight_language = "none"
default_role = "code"  # `x` in a docstring is code

autodoc_typehints = "none"  # those of parameters are in the docstrings; `return_type` adds the other
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 72
napoleon_google_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_param = False  # types are said as they stand: no guess at what they link to
napoleon_use_rtype = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "Reelated"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
smartquotes_action = "D"  # dashes, but "last" stays what one types
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5fa8", "color-brand-content": "#1f5fa8"},
    "dark_css_variables": {"color-brand-primary": "#7db4f0", "color-brand-content": "#7db4f0"},
}


def return_type(app, what, name, thing, options, arguments, returned):
    """Return the signature of a function with the type of its result."""
    if arguments is None or inspect.isclass(thing):
        return None
    kind = inspect.signature(thing).return_annotation
    return arguments, None if kind in (None, inspect.Signature.empty) else stringify_annotation(kind, "smart")


def setup(app):
    """Let tables of commas be shown as they are: Pygments knows no such language."""
    from pygments.lexers.special import TextLexer

    app.add_lexer("csv", TextLexer)
    app.connect("autodoc-process-signature", return_type)
