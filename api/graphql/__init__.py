"""The API as GraphQL: the same functions as the REST routes, one resolver file a noun."""
