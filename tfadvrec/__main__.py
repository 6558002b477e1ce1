"""`python -m tfadvrec`."""

from tfadvrec.cli.app import main

if __name__ == "__main__":
    main()
