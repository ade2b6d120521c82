"""`python -m stratops` is the command `stratops`."""

from stratops.main import app

if __name__ == "__main__":
    app()
