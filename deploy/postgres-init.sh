#!/bin/sh
# Run once by the PostgreSQL image on an empty volume: the same roles as the embedded server has (ops/postgres_server.py).
set -eu
: "${CALLSTREAM_DATABASE_PASSWORD:?}" "${CALLSTREAM_DATABASE_OWNER_PASSWORD:?}"
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres \
	--set=login_password="$CALLSTREAM_DATABASE_PASSWORD" --set=owner_password="$CALLSTREAM_DATABASE_OWNER_PASSWORD" <<'SQL'
CREATE ROLE callstream_app;
CREATE ROLE callstream_owner LOGIN NOSUPERUSER NOBYPASSRLS CREATEROLE PASSWORD :'owner_password';
CREATE ROLE callstream_login LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB PASSWORD :'login_password';
GRANT callstream_app TO callstream_login;
GRANT callstream_app TO callstream_owner WITH ADMIN TRUE, INHERIT FALSE;
CREATE DATABASE callstream OWNER callstream_owner;
SQL
