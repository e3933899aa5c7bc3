"""Models of tables: columns with names, of numbers or of categories, around a network."""
