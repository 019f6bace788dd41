"""Sphinx: the documentation."""

from __future__ import annotations

project = "xenimage"
copyright = "The xenimage contributors"
author = "The xenimage contributors"

extensions = ["openstackdocstheme"]
html_theme = "openstackdocs"
pygments_style = "native"
nitpicky = True

openstackdocs_auto_name = False
openstackdocs_pdf_link = False
openstackdocs_use_storyboard = False

man_pages = [("man/xenimage", "xenimage", "turn disk images into what a Xen cloud boots, and back", author, 1)]
