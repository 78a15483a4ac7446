"""The parts that a DataLoader is made of. Programs import ``_utils.collate`` by this name."""
