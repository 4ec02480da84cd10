"""The routes: typed input, one call, typed output. What a docstring says here is what people read in the API's page."""
