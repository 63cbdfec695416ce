"""python -m hpcnemd: the same as the console script."""
from hpcnemd.app.main import main

main()
