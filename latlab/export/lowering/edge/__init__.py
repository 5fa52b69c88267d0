"""From a module to the edge graph that ExecuTorch would decompose it to."""
