"""One module for each way in which stored sound becomes int16."""
