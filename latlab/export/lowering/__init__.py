"""Lower a PyTorch module to a program for XNNPACK."""
