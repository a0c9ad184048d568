"""The demonstration data set: made-up people, our own spoken conversations."""
