"""`python -m mmteach …` is `mmteach …`: for a launcher that asks for a module, as torchrun does."""

import sys

from mmteach.cli import main

if __name__ == "__main__":
    sys.exit(main())
