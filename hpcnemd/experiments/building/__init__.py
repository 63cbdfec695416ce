"""From crystals to cells that can be run: built-in cells, files, orthorhombic supercells, partly occupied sites, dopants, grains, and files again."""
