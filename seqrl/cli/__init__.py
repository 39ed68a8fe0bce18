"""The `seqrl` command: words in, calls of the library, words out. No logic of its own."""
