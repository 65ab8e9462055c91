"""A sweep's arms, stage by stage: what is to be done, where it runs, and what becomes of it."""
