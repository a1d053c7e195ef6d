"""Settings of the documentation site: ``sphinx-build -W docs docs/_build``."""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))

import fastnet  # noqa: E402  (the site describes the package that is installed)

project = "fastnet"
author = "the fastnet developers"
copyright = "the fastnet developers"
version = release = fastnet.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_design",
    "api_pages",
    "command_help",
    "drawn_figures",
    "repository_pages",
]
exclude_patterns = ["_build", "_ext", "jupyter_execute", "**.ipynb_checkpoints"]
nitpicky = False  # docstrings put code into single backticks, most of which is no name to link to
default_role = "py:obj"
add_module_names = False
python_use_unqualified_type_names = True

# docstrings
autosummary_generate = False  # api_pages writes the pages
autodoc_typehints = "none"  # numpydoc's sections give the types
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

# pages
myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
nb_execution_mode = "force"  # a notebook holds no results of its own: they are made here
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True
suppress_warnings = ["config.cache"]  # the extensions above keep functions in the configuration

# what it looks like
html_theme = "furo"
html_title = f"fastnet {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "a11y-high-contrast-light"  # furo brings it; every colour has 4.5:1 and more
pygments_dark_style = "a11y-high-contrast-dark"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_selector = "div:not(.highlight-text):not(.output) > div.highlight > pre"  # not what was printed
