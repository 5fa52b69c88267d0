"""Where the kernels of an exported program come from in the user's PyTorch code."""
