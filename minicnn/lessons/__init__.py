"""What the lessons need besides their notebooks: the exercises with their checks, and the museum of bugs."""
