"""`python -m taxonvision` is the command `taxonvision`."""

from taxonvision.cli.main import entry_point

if __name__ == "__main__":
    entry_point()
