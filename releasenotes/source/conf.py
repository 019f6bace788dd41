"""Sphinx: the release notes."""

from __future__ import annotations

project = "xenimage release notes"
copyright = "The xenimage contributors"
author = "The xenimage contributors"

extensions = ["openstackdocstheme", "reno.sphinxext"]
html_theme = "openstackdocs"
pygments_style = "native"

openstackdocs_auto_name = False
openstackdocs_pdf_link = False
openstackdocs_use_storyboard = False
