"""The answers to requests, one file a subject."""
