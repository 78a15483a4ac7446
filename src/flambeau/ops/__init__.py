"""What every differentiable operation is: one record each, one file per kind."""
