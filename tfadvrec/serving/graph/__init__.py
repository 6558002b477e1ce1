"""The saved graph: ids in, ids out, core operations between."""
