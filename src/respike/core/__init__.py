"""What several studies need. Knows no study."""
