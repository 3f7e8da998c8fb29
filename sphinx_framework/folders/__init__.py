"""Where results may be written: only files of ours are replaced, and all of them at once."""
