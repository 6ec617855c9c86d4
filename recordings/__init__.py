"""Where recordings live in a checkout: new ones here, never committed; shipped ones in `samples/`.

A package only so that the samples are found as package data, in an editable install too.
"""
