"""Files for people and programs: tables as CSV and XLSX."""
