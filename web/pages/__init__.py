"""The pages: rendered here, live by small modules of our own."""
