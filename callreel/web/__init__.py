"""The HTTP edge: two small applications, the web application and Echo."""
