"""`python -m seqrl` is the `seqrl` command."""

from seqrl.cli.main import main

if __name__ == "__main__":
    main()
