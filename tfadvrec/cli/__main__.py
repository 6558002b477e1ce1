"""`python -m tfadvrec.cli`."""

from tfadvrec.cli.app import main

if __name__ == "__main__":
    main()
