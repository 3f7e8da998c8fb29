"""What a study says: intervals, claims, figures and the page."""
