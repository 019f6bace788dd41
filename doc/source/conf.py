"""Sphinx: the documentation."""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "ext"))

project = "xenimage"
copyright = "The xenimage contributors"
author = "The xenimage contributors"

extensions = ["openstackdocstheme", "oslo_config.sphinxext", "sphinx.ext.autodoc", "xenimage_pages"]
html_theme = "openstackdocs"
# No counting of readers.
html_theme_options = {"analytics_tracking_code": "", "root_title": project}
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["xenimage.css"]
pygments_style = "native"
nitpicky = True
# What is not ours has no page here. Of our own packages only the library's door, its values and its errors have one.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!xenimage\.(api|exceptions|limits|model)\b).*"),
    (r"py:.*", r"xenimage\.limits\.STRICT"),
]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True

# The sidebar names sections only: the members of the API would fill it.
toc_object_entries = False

openstackdocs_auto_name = False
openstackdocs_pdf_link = False
openstackdocs_use_storyboard = False

man_pages = [
    ("man/xenimage", "xenimage", "turn disk images into what a Xen cloud boots, and back", author, 1),
    ("man/xenimage-vhd-util", "xenimage-vhd-util", "look at VHD files and change them, as vhd-util does", author, 1),
]
