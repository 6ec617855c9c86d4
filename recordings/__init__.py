"""The recordings of a checkout: new ones here, never committed; shipped ones in `samples/`.

It is a package only so that the samples are found as package data, also in an editable install.
"""
