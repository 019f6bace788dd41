"""File systems behind one narrow contract, whoever reads them."""
