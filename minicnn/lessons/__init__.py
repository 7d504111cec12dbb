"""What the lessons need beside their notebooks: the exercises and their checks, the museum of bugs."""
