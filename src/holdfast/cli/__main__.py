"""``python -m holdfast.cli``: the program without its script, which may not be on the PATH."""

from holdfast.cli import main

if __name__ == "__main__":
    main()
