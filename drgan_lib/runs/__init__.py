"""Runs: papermill executes the chapters over a store of results, each in a folder named by what it depends on.

A chapter needs `chapter` alone, and so nothing is imported here.
"""
