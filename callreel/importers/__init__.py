"""What other telephone systems write, read into call records of ours."""
