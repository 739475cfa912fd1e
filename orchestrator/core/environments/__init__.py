"""What a step asks to find installed, as pure values: requirements, conda's packages by the index's names, keys."""
