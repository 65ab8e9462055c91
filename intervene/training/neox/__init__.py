"""A checkpoint of GPT-NeoX: how it is read, and what it is converted into."""
