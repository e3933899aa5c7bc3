"""The recorded graph becomes machine code: trace → simplify → schedule → emit."""
