"""The private engine: nothing outside this distribution may import from here."""
