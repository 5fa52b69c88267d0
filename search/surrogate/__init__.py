"""A surrogate of accuracy, which screens candidates and smooths the noise of their trainings."""
