"""A made-up installation to look at: two sites, a month of calls, speech made by machines."""
