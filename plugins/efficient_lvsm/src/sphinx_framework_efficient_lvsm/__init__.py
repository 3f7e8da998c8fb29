"""Efficient-LVSM: target views from posed photos without geometry, every photo encoded once."""
