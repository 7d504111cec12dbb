"""What the lessons need beside their notebooks, such as the museum of bugs."""
