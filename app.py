"""The browser app: `python app.py`, then open the address that it prints."""

import sys

from motion_transfer.cli import main

if __name__ == "__main__":
    main(["serve", *sys.argv[1:]])
