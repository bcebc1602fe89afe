"""Large installations: rows by the million as bench/ makes them, and that nothing slows down with them."""
